//! Whether a file is an authentic entry, and whether it may be handed out now.

use std::{fs::File, time::Duration};

use crate::{
    Error, MissReason, Part,
    body::{Chunks, Hash},
    cache::{CLOCK_SLACK_MS, Inner},
    clock::BootId,
    format::{BodyForm, CHUNK, Defect, Header, LONGEST},
    fs::{self, Source, Stat},
    keys::KeySet,
};

/// Files up to this size are read in one go.
const SMALL: u64 = (CHUNK + LONGEST) as u64;
/// Most headers are shorter.
const SHORT_HEAD: u64 = 512;

/// The first bytes of a file: all of a small one if that is wanted, else the header.
pub(crate) fn read_head(file: &File, stat: &Stat, whole: bool) -> std::io::Result<Vec<u8>> {
    let read = |len: u64| fs::read_start(file, usize::try_from(len).expect("at most 72 KiB"));
    if whole && stat.size <= SMALL {
        return read(stat.size);
    }
    let head = read(stat.size.min(SHORT_HEAD))?;
    // Long keys are rare.
    match Header::decode(&head) {
        Err(Defect::Short) if stat.size > SHORT_HEAD => read(stat.size.min(LONGEST as u64)),
        _ => Ok(head),
    }
}

/// Whether the header is authentic and the file as long as it says; answers it with the key that
/// authenticated it. Interprets nothing but fixed-width fields before that.
pub(crate) fn authenticate<'h, 'k>(
    inner: &Inner,
    keys: &'k [KeySet],
    head: &'h [u8],
    file_len: u64,
) -> Result<Result<(Header<'h>, &'k KeySet), MissReason>, Error> {
    let header = match Header::decode(head) {
        Ok(header) => header,
        Err(Defect::Short | Defect::Zero) => return Ok(Err(MissReason::Torn)),
        Err(Defect::Unsupported) => return Ok(Err(MissReason::Unsupported)),
    };
    if header.cache_id != inner.cache_id() {
        return Ok(Err(MissReason::WrongCache));
    }
    let Some(keys) = keys.iter().find(|keys| keys.id == header.key_id) else {
        return Ok(Err(MissReason::UnknownKey));
    };
    let (signed, rest) = head.split_at(header.len());
    if !keys.is_entry(signed, &rest[..header.auth.tag_len()])? {
        return Ok(Err(MissReason::Tampered(Part::Header)));
    }
    let Some(expected) = header.file_len() else { return Ok(Err(MissReason::TooLarge)) };
    if header.payload_len > inner.limits.max_entry_bytes {
        return Ok(Err(MissReason::TooLarge));
    }
    Ok(match file_len.cmp(&expected) {
        std::cmp::Ordering::Less => Err(MissReason::Torn),
        std::cmp::Ordering::Greater => Err(MissReason::Tampered(Part::Size)),
        std::cmp::Ordering::Equal => Ok((header, keys)),
    })
}

/// The chunks of an authentic entry.
pub(crate) fn chunks(
    header: &Header<'_>,
    keys: &KeySet,
    source: &(impl Source + ?Sized),
) -> Result<Result<Chunks, MissReason>, Error> {
    let mut chunks = match header.body {
        BodyForm::Aes256Gcm => Chunks::sealed(header, keys.cipher(&header.nonce)?),
        clear => match Hash::of(clear) {
            Some(hash) => Chunks::clear(header, hash),
            None => return Ok(Err(MissReason::Unsupported)),
        },
    };
    if let Some((at, len)) = chunks.wants_table() {
        let mut table = vec![0; len];
        let read = source.read_at(&mut table, at).map_err(Error::io("read", "an entry"))?;
        table.truncate(read);
        if let Err(reason) = chunks.set_table(table, &header.root) {
            return Ok(Err(reason));
        }
    }
    Ok(Ok(chunks))
}

/// Reads and verifies the whole payload without keeping it.
pub(crate) fn check_body(
    chunks: &Chunks,
    source: &(impl Source + ?Sized),
) -> Result<Result<(), MissReason>, Error> {
    let mut buffer = zeroize::Zeroizing::new(Vec::new());
    for index in 0..chunks.count() {
        let (at, stored, _) = chunks.place(index);
        buffer.resize(stored, 0);
        let read = source.read_at(&mut buffer, at).map_err(Error::io("read", "an entry"))?;
        if read < stored {
            return Ok(Err(MissReason::Torn));
        }
        let opened = chunks.open(index, &mut buffer);
        // It may be a secret: gone before the next call to the system.
        zeroize::Zeroize::zeroize(&mut *buffer);
        if let Err(reason) = opened {
            return Ok(Err(reason));
        }
    }
    Ok(Ok(()))
}

/// Whether an authentic entry's time is over or has not come.
pub(crate) fn expiry(
    header: &Header<'_>,
    keys: &KeySet,
    now_ms: i64,
    boot: Option<(BootId, u64)>,
    max_ttl: Duration,
) -> Result<Option<MissReason>, Error> {
    let max = i64::try_from(max_ttl.as_millis()).unwrap_or(i64::MAX);
    let ttl = header.expires_ms.saturating_sub(header.created_ms).clamp(0, max);
    if let Some((boot, since_boot)) = boot
        && keys.boot_tag(&boot)? == header.boot_tag
    {
        // Within one boot nothing anybody can set decides.
        return Ok(match since_boot.checked_sub(header.boot_ms) {
            None => Some(MissReason::FromFuture),
            Some(age) if age >= ttl.unsigned_abs() => Some(MissReason::Expired),
            // A virtual machine that was paused, or restored from a snapshot, is of the same boot and
            // has not counted the time between: a secret lives by both clocks.
            Some(_) if header.sensitive && now_ms >= header.created_ms.saturating_add(ttl) => {
                Some(MissReason::Expired)
            }
            Some(_) => None,
        });
    }
    Ok(if header.created_ms > now_ms.saturating_add(CLOCK_SLACK_MS) {
        Some(MissReason::FromFuture)
    } else if now_ms >= header.created_ms.saturating_add(ttl) {
        Some(MissReason::Expired)
    } else {
        None
    })
}

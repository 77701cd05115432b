//! Entries as bytes, for a tier behind this cache: they authenticate themselves, so who carries them need not be trusted.

use crate::{
    Durability, Error, Freshness, Key, Lookup, MissReason, Namespace, PutOutcome,
    format::{Header, take},
    fs::{PATIENCE, Source as _},
    keys::{KeySet, Name},
    namespace::Load,
    verify,
    writer::Temporary,
};

impl Namespace {
    /// The file of an entry, all of it verified, as [`Namespace::admit`] takes it elsewhere. What is
    /// encrypted stays encrypted.
    ///
    /// # Errors
    /// As [`Namespace::get`].
    pub fn export(&self, key: &Key) -> Result<Lookup<Vec<u8>>, Error> {
        self.look_up(key, false, |found| {
            let file_len =
                found.file.metadata().map_err(|error| Load::Error(read_error(error)))?.len();
            let len = usize::try_from(file_len).map_err(|_| Load::Miss(MissReason::TooLarge))?;
            let mut bytes = vec![0; len];
            let read = found
                .file
                .read_at(&mut bytes, 0)
                .map_err(|error| Load::Error(read_error(error)))?;
            bytes.truncate(read);
            // It may have been written to since its header was verified.
            if !bytes.starts_with(&found.head) {
                return Err(Load::Miss(MissReason::Torn));
            }
            match verify::check_body(&found.chunks, &bytes[..]) {
                Ok(Ok(())) => Ok(bytes),
                Ok(Err(reason)) => Err(Load::Miss(reason)),
                Err(error) => Err(Load::Error(error)),
            }
        })
    }

    /// Takes the file of an entry that [`Namespace::export`] gave elsewhere, in a cache of the same
    /// identity ([`Builder::join`](crate::Builder::join)), and publishes it here. Everything is
    /// verified first, as a lookup does; a miss says why it is not taken. An epoch that was raised
    /// there is raised here too. With [`Freshness::Strict`] what is older than the last that was
    /// stored or admitted under this key is [`MissReason::RolledBack`].
    ///
    /// # Errors
    /// As [`Namespace::put`]; [`Error::Tampered`] where the policy asks for it. A reader of a sealed
    /// cache may admit.
    pub fn admit(&self, key: &Key, entry: &[u8]) -> Result<Lookup<PutOutcome>, Error> {
        let canonical = key.canonical();
        let keys = self.inner.keys();
        let authentic = verify::authenticate(&self.inner, &keys, entry, entry.len() as u64)?;
        let (header, signer) = match authentic {
            Ok(authentic) => authentic,
            Err(reason) => return self.missed(reason, None, None),
        };
        let name = signer.name(&self.name, &canonical)?;
        let chunks = match verify::chunks(&header, signer, entry)? {
            Ok(chunks) => chunks,
            Err(reason) => return self.missed(reason, None, Some(name)),
        };
        if let Err(reason) = verify::check_body(&chunks, entry)? {
            return self.missed(reason, None, Some(name));
        }
        let mut random = [0; 64];
        getrandom::fill(&mut random)
            .map_err(|error| Error::io("make random bytes for", &self.inner.path)(error.into()))?;
        let label = take(&random, 0);
        let result = match self.take_in(&header, signer, &name, &canonical, entry, label) {
            Ok(Some(reason)) => return self.missed(reason, None, Some(name)),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        self.stored(result, &name, header.payload_len, take(&random, 16)).map(Lookup::Hit)
    }

    fn take_in(
        &self,
        header: &Header<'_>,
        signer: &KeySet,
        name: &Name,
        canonical: &[u8],
        entry: &[u8],
        label: [u8; 16],
    ) -> Result<Option<MissReason>, Error> {
        let mut temporary = Temporary::create(self, name, label, 0)?;
        temporary.append(entry)?;
        if self.policy.durability >= Durability::Data {
            temporary.sync()?;
        }
        let path = self.inner.path.join(name.path());
        let strict = self.policy.freshness == Freshness::Strict;
        temporary.shard.lock(strict, PATIENCE).map_err(|_| Error::Busy { path: path.clone() })?;
        let reason = self.judge(header, signer, name, canonical, true)?;
        if reason.is_none() {
            temporary.publish(name)?;
            if self.policy.durability == Durability::Full {
                temporary.shard.sync().map_err(Error::io("write", &path))?;
            }
        }
        Ok(reason)
    }
}

fn read_error(error: std::io::Error) -> Error {
    Error::io("read", "an entry")(error)
}

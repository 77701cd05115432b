//! Blocks of any size in few regions: tiers by protection, exact-size bins over bitmaps, canaries, growth.
//!
//! A block is a payload rounded up to 16 bytes plus a canary of 16. Nothing about a block is kept inside the
//! mapping but its canary. Blocks of small sizes go to a bin when freed and come back from there without a
//! search; the bitmaps join neighbours when a bin is emptied. Free memory always holds zeros.
#![allow(unsafe_code)]

use crate::{
    error::Error,
    protection::{Backend, Degradation, DegradationKind, Limit},
    region::{GRANULE, Region},
    seal,
    sys::{self, Refusal, Resource},
    wipe,
};
use std::{io, ptr::NonNull};
use subtle::ConstantTimeEq;

/// Size of the first region of a tier; each further one is twice as large.
const FIRST_REGION_BYTES: usize = 16 * 1024;
/// Regions stop growing here unless a single value needs more.
const LARGEST_REGION_BYTES: usize = 64 * 1024 * 1024;
/// With access switched per region, small regions keep the switch cheap.
const LARGEST_GUARDED_REGION_BYTES: usize = 128 * 1024;
/// Blocks up to this many granules (a page and its canary) are kept in bins.
const BINNED_GRANULES: usize = 4096 / GRANULE + 1;
/// Blocks up to this size are wiped under the lock, which saves taking it twice.
const WIPED_UNDER_LOCK_BYTES: usize = 8192;

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Plain values: the best memory there is, bounded by the cap and the limit on locked memory.
    Plain,
    /// Ciphertext: ordinary pages, unbounded.
    Ciphertext,
}

/// Where a block lies. Owned by one slot, so it can't be freed twice.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) address: NonNull<u8>,
    /// The memory it lies in.
    pub(crate) backend: Backend,
    tier: u8,
    region: u32,
    granules: u32,
}

impl Block {
    fn new(
        address: NonNull<u8>,
        backend: Backend,
        (tier, region): (usize, usize),
        granules: usize,
    ) -> Self {
        let tier = u8::try_from(tier).expect("there are four tiers");
        Self { address, backend, tier, region: index32(region), granules: index32(granules) }
    }

    fn tier(&self) -> usize {
        usize::from(self.tier)
    }

    fn region(&self) -> usize {
        self.region as usize
    }

    fn granules(&self) -> usize {
        self.granules as usize
    }

    /// Bytes before the canary.
    pub(crate) fn capacity(&self) -> usize {
        (self.granules() - 1) * GRANULE
    }

    /// Bytes of payload and canary.
    pub(crate) fn size(&self) -> usize {
        self.granules() * GRANULE
    }

    fn canary(&self) -> NonNull<u8> {
        NonNull::new(self.address.as_ptr().wrapping_add(self.capacity()))
            .expect("an address inside a mapping isn't null")
    }
}

/// A canary or the padding before it was overwritten.
#[derive(Debug)]
pub(crate) struct Smashed;

/// The settings of a slab.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Best memory to try.
    pub(crate) best: Backend,
    /// Refuse unlocked memory for plain values.
    pub(crate) strict: bool,
    /// Most bytes to map for plain values.
    pub(crate) cap_bytes: usize,
    /// Take all access away while nobody reads.
    pub(crate) guarded: bool,
    /// Keep room for the cipher in the first region.
    pub(crate) may_seal: bool,
}

/// What stands behind every payload; compared as one number, so in constant time.
type Canary = u128;
const _: () = assert!(size_of::<Canary>() == GRANULE);

/// All regions of a vault.
pub(crate) struct Slab {
    settings: Settings,
    canary: Canary,
    tiers: [Tier; 4],
    cipher: Option<CipherHome>,
    /// Values that need the cipher to be read again.
    sealed: usize,
    /// Blocks in use, of any kind.
    live: usize,
    /// Nobody makes new secrets here any more.
    closed: bool,
    degradations: Vec<Degradation>,
}

/// Regions of one kind.
struct Tier {
    backend: Backend,
    regions: Vec<Option<Region>>,
    /// Freed blocks by size: region and granule. Still marked as used in the bitmap.
    bins: Vec<Vec<(u32, u32)>>,
    next_region_bytes: usize,
    /// The smallest region the system refused, with its reason; not asked for again until something is unmapped.
    refused: Option<(usize, String)>,
}

struct CipherHome {
    tier: usize,
    region: usize,
    address: NonNull<u8>,
    ready: bool,
}

// SAFETY: the addresses point into mappings the slab owns; the slab itself is used under a lock only.
unsafe impl Send for Slab {}
// SAFETY: a block is a place in memory owned by one slot, which decides who may touch the bytes.
unsafe impl Send for Block {}
// SAFETY: as above; sharing a block shares an address only.
unsafe impl Sync for Block {}

const PLAIN_TIERS: usize = 3;
const CIPHERTEXT_TIER: usize = 3;

impl Slab {
    pub(crate) fn new(settings: Settings) -> Result<Self, Refusal> {
        let mut canary = [0; GRANULE];
        sys::random(&mut canary)?;
        let backends =
            [Backend::SecretMemory, Backend::Locked, Backend::WipeOnly, Backend::WipeOnly];
        Ok(Self {
            settings,
            canary: Canary::from_ne_bytes(canary),
            tiers: backends.map(Tier::new),
            cipher: None,
            sealed: 0,
            live: 0,
            closed: false,
            degradations: Vec::new(),
        })
    }

    /// Makes a block for `len` bytes of zeros, open for writing.
    #[inline(never)]
    pub(crate) fn allocate(&mut self, purpose: Purpose, len: usize) -> Result<Block, Error> {
        let granules = len
            .checked_next_multiple_of(GRANULE)
            .filter(|&bytes| bytes <= isize::MAX as usize / 2)
            .map(|bytes| bytes / GRANULE + 1)
            .ok_or_else(|| Error::Unavailable { reason: format!("{len} bytes are too many") })?;
        let (tier, region, granule) = match purpose {
            Purpose::Plain => self.take_plain(granules)?,
            Purpose::Ciphertext => self
                .take(CIPHERTEXT_TIER, granules)
                .map(|(region, granule)| (CIPHERTEXT_TIER, region, granule))
                .map_err(|reason| Error::Unavailable { reason })?,
        };
        let guarded = self.settings.guarded;
        let home = self.tiers[tier].region(region);
        home.live += 1;
        if guarded && let Err(error) = home.open(true) {
            home.live -= 1;
            home.give_back(granule, granules);
            return Err(Error::Access(error));
        }
        home.mark_canary(granule + granules - 1);
        let address = home.address(granule);
        let backend = self.tiers[tier].backend;
        let block = Block::new(address, backend, (tier, region), granules);
        self.write_canary(&block);
        self.live += 1;
        Ok(block)
    }

    /// No new secrets from now on; what lives goes on to live.
    pub(crate) fn close_down(&mut self) {
        self.closed = true;
        self.leave_if_deserted();
    }

    /// Whether nobody can have any use for this slab again.
    pub(crate) fn is_deserted(&self) -> bool {
        self.closed && self.live == 0
    }

    #[inline]
    fn leave_if_deserted(&mut self) {
        if self.is_deserted() {
            self.trim();
        }
    }

    /// Wipes a block and takes it back. `opened`: its pages are open for writing on its behalf; `len`: what the
    /// owner used of it; `stale`: the slab was wiped since, so there is no canary any more.
    pub(crate) fn free(
        &mut self,
        block: &Block,
        len: usize,
        opened: bool,
        stale: bool,
    ) -> Result<(), Smashed> {
        if self.settings.guarded && !opened && self.open(block, true).is_err() {
            // The pages can't be reached any more; they stay allocated and without access.
            return Ok(());
        }
        if !stale {
            self.verify(block, len)?;
        }
        // SAFETY: the block is the owner's until it is given back; it is aligned to its granules.
        unsafe { wipe::wipe_granules(block.address.cast(), block.granules()) };
        if self.settings.guarded {
            self.close(block, true);
        }
        self.give_back_wiped(block);
        Ok(())
    }

    /// Takes back a block that holds nothing but zeros.
    pub(crate) fn give_back_wiped(&mut self, block: &Block) {
        let tier = &mut self.tiers[block.tier()];
        let region = tier.region(block.region());
        let granule = region.granule_at(block.address);
        region.live -= 1;
        region.unmark_canary(granule + block.granules() - 1);
        if block.granules() <= BINNED_GRANULES {
            let place = (block.region, index32(granule));
            tier.bin(block.granules()).push(place);
        } else {
            region.give_back(granule, block.granules());
        }
        self.live -= 1;
        self.leave_if_deserted();
    }

    /// Stops looking after a block's canary, so that its owner can wipe it without the lock.
    pub(crate) fn release_canary(&mut self, block: &Block) {
        let region = self.tiers[block.tier()].region(block.region());
        let granule = region.granule_at(block.address);
        region.unmark_canary(granule + block.granules() - 1);
    }

    /// Whether a block is so large that its owner should wipe it before it takes the lock.
    pub(crate) fn is_large(block: &Block) -> bool {
        block.size() > WIPED_UNDER_LOCK_BYTES
    }

    /// Makes a block smaller. The bytes past `new_len` hold zeros by then; the pages are open for writing.
    pub(crate) fn shrink(&mut self, block: &mut Block, new_len: usize) {
        let granules = new_len.div_ceil(GRANULE) + 1;
        if granules >= block.granules() {
            return;
        }
        let old_canary = block.canary();
        // SAFETY: the canary belongs to the block.
        unsafe { wipe::wipe(old_canary.as_ptr(), GRANULE) };
        let region = self.tiers[block.tier()].region(block.region());
        let granule = region.granule_at(block.address);
        region.unmark_canary(granule + block.granules() - 1);
        region.give_back(granule + granules, block.granules() - granules);
        region.mark_canary(granule + granules - 1);
        block.granules = index32(granules);
        self.write_canary(block);
    }

    /// Compares the canary, and the padding before it, in constant time.
    pub(crate) fn verify(&self, block: &Block, len: usize) -> Result<(), Smashed> {
        // SAFETY: the canary belongs to the block, which is mapped and open.
        let found: Canary = unsafe { block.canary().cast().read() };
        let start = block.address.as_ptr().wrapping_add(len);
        let mut stray = 0u8;
        for offset in 0..block.capacity() - len {
            // SAFETY: the padding lies between the used bytes and the canary.
            stray |= unsafe { start.wrapping_add(offset).read() };
        }
        all_zero((found ^ self.canary) | Canary::from(stray))
    }

    /// Compares all canaries; answers how many there are.
    pub(crate) fn verify_all(&mut self) -> Result<usize, Smashed> {
        let (canary, guarded) = (self.canary, self.settings.guarded);
        let mut count = 0;
        for region in self.tiers.iter_mut().flat_map(Tier::mapped) {
            if guarded && region.open(false).is_err() {
                continue;
            }
            let mut stray = 0;
            for address in region.canaries() {
                // SAFETY: canaries of live blocks are mapped, and open since the line above.
                let found: Canary = unsafe { address.cast().read() };
                stray |= found ^ canary;
                count += 1;
            }
            if guarded {
                // A region that can't be closed stays open; the next close tries again.
                let _ = region.close(false);
            }
            all_zero(stray)?;
        }
        Ok(count)
    }

    /// Counts a reader or writer of a block's region in.
    pub(crate) fn open(&mut self, block: &Block, write: bool) -> io::Result<()> {
        self.tiers[block.tier()].region(block.region()).open(write)
    }

    /// Counts a reader or writer of a block's region out.
    pub(crate) fn close(&mut self, block: &Block, write: bool) {
        // A region that can't be closed stays open; the next close tries again.
        let _ = self.tiers[block.tier()].region(block.region()).close(write);
    }

    /// Counts a user of the cipher in: it stays until [`Slab::release_cipher`].
    pub(crate) fn acquire_cipher(&mut self) -> Result<NonNull<seal::Cipher>, Error> {
        let cipher = self.cipher()?;
        self.sealed += 1;
        Ok(cipher)
    }

    /// Counts a user of the cipher out.
    pub(crate) fn release_cipher(&mut self) {
        self.sealed -= 1;
    }

    /// The cipher, made on first use in the best memory there is.
    fn cipher(&mut self) -> Result<NonNull<seal::Cipher>, Error> {
        if self.cipher.is_none() {
            self.prepare()?;
        }
        let Some(home) = &mut self.cipher else {
            return Err(Error::Unavailable { reason: "no memory for the key".into() });
        };
        if !home.ready {
            // SAFETY: the home was reserved for a cipher and nobody uses it yet.
            unsafe { seal::make_cipher(home.address) }
                .map_err(|refusal| Error::Unavailable { reason: explain(&refusal) })?;
            home.ready = true;
        }
        Ok(home.address.cast())
    }

    /// Maps the first region if there is none, so that the report speaks of what is.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        if self.tiers[..PLAIN_TIERS].iter().all(|tier| tier.regions.is_empty()) {
            let (tier, region, granule) = self.take_plain(1)?;
            self.tiers[tier].region(region).give_back(granule, 1);
        }
        Ok(())
    }

    /// Overwrites everything ever written, in all regions. Handles made before are stale from then on.
    pub(crate) fn wipe(&mut self) {
        let guarded = self.settings.guarded;
        if let Some(home) = self.cipher.as_mut().filter(|home| home.ready) {
            // SAFETY: the home was reserved for a cipher; operations under way read a blank one and fail.
            unsafe { wipe::wipe(home.address.as_ptr(), seal::CIPHER_BYTES) };
            home.ready = false;
        }
        for region in self.tiers.iter_mut().flat_map(Tier::mapped) {
            if guarded && region.force_open().is_err() {
                continue;
            }
            let (start, len) = region.touched();
            // SAFETY: the range is mapped and writable; who reads it through a stale guard sees zeros.
            unsafe { wipe::wipe(start.as_ptr(), len) };
            region.unmark_all_canaries();
            if guarded {
                let _ = region.settle();
            }
        }
    }

    /// Unmaps regions without live blocks; answers how many bytes went.
    pub(crate) fn trim(&mut self) -> usize {
        let cipher_idle = self.sealed == 0;
        let mut released = 0;
        for (index, tier) in self.tiers.iter_mut().enumerate() {
            tier.empty_bins();
            for (number, place) in tier.regions.iter_mut().enumerate() {
                let holds_cipher = |home: &CipherHome| home.tier == index && home.region == number;
                let pinned = self.cipher.as_ref().is_some_and(holds_cipher);
                let idle = place.as_ref().is_some_and(|r| r.live == 0) && (!pinned || cipher_idle);
                let Some(region) = idle.then(|| place.take()).flatten() else { continue };
                if pinned {
                    drop_cipher(&mut self.cipher);
                }
                released += region.len();
                // SAFETY: no block of the region is live and the cipher isn't in it.
                unsafe { sys::unmap(region.mapping()) };
                tier.refused = None;
            }
            while tier.regions.last().is_some_and(Option::is_none) {
                tier.regions.pop();
            }
            if tier.regions.is_empty() {
                tier.next_region_bytes = FIRST_REGION_BYTES;
            }
        }
        released
    }

    /// The regions for plain values.
    pub(crate) fn plain_regions(&self) -> impl Iterator<Item = &Region> {
        self.tiers[..PLAIN_TIERS].iter().flat_map(|tier| tier.regions.iter().flatten())
    }

    pub(crate) fn region_count(&self) -> usize {
        self.tiers.iter().map(|tier| tier.regions.iter().flatten().count()).sum()
    }

    /// Bytes in use for plain values; what waits in a bin is free.
    pub(crate) fn used_bytes(&self) -> usize {
        let marked: usize = self.plain_regions().map(Region::used_bytes).sum();
        let binned: usize = self.tiers[..PLAIN_TIERS].iter().map(Tier::binned_bytes).sum();
        marked - binned
    }

    pub(crate) fn degradations(&self) -> &[Degradation] {
        &self.degradations
    }

    fn write_canary(&self, block: &Block) {
        // SAFETY: the canary belongs to the block, which is mapped and open for writing.
        unsafe { block.canary().cast().write(self.canary) };
    }

    /// Takes granules from the best tier that has room.
    fn take_plain(&mut self, granules: usize) -> Result<(usize, usize, usize), Error> {
        let mut reasons: Vec<String> = Vec::new();
        for tier in 0..PLAIN_TIERS {
            let backend = self.tiers[tier].backend;
            if backend < self.settings.best {
                continue;
            }
            if backend == Backend::WipeOnly && self.settings.strict {
                break;
            }
            match self.take(tier, granules) {
                Ok((region, granule)) => {
                    if !reasons.is_empty() {
                        self.report_fallback(tier, &reasons);
                    }
                    return Ok((tier, region, granule));
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Error::Unavailable { reason: reasons.join("; ") })
    }

    fn report_fallback(&mut self, tier: usize, reasons: &[String]) {
        if self.settings.best == Backend::SecretMemory {
            self.report(DegradationKind::NotHidden, &reasons[0]);
        }
        if tier == PLAIN_TIERS - 1 {
            self.report(DegradationKind::NotLocked, &reasons[reasons.len() - 1]);
        }
    }

    /// Notes a degradation, once for each kind.
    fn report(&mut self, kind: DegradationKind, reason: &str) {
        if !self.degradations.iter().any(|known| known.kind == kind) {
            self.degradations.push(kind.with(reason.to_owned()));
        }
    }

    /// Takes granules of one tier, growing it when needed; answers region and granule, or why not.
    fn take(&mut self, tier: usize, granules: usize) -> Result<(usize, usize), String> {
        if let Some(place) = self.tiers[tier].take(granules) {
            return Ok(place);
        }
        self.grow(tier, granules)?;
        self.tiers[tier].take(granules).ok_or_else(|| "a fresh region had no room".into())
    }

    fn grow(&mut self, tier: usize, granules: usize) -> Result<(), String> {
        let page = sys::page_size();
        let plain = tier < PLAIN_TIERS;
        let reserve = plain && self.settings.may_seal && self.cipher.is_none();
        let extra = if reserve { seal::CIPHER_BYTES.next_multiple_of(GRANULE) } else { 0 };
        let need = (granules * GRANULE + extra).next_multiple_of(page);
        let mapped: usize = self.plain_regions().map(Region::len).sum();
        let room = if plain { self.settings.cap_bytes.saturating_sub(mapped) } else { usize::MAX };
        if need > room {
            return Err(format!("the vault's cap of {} bytes is reached", self.settings.cap_bytes));
        }
        let guarded = self.settings.guarded;
        let largest = if guarded { LARGEST_GUARDED_REGION_BYTES } else { LARGEST_REGION_BYTES };
        let wanted = self.tiers[tier].next_region_bytes.min(largest).min(room).max(need);
        let region = self.tiers[tier].map(wanted / page * page, need, page)?;
        let facts = region.mapping();
        let (in_dumps, in_forks) = (!facts.excluded_from_dumps, !facts.fork_safe);
        if in_dumps {
            self.report(DegradationKind::InCoreFiles, "the system can't leave a region out");
        }
        if in_forks {
            self.report(DegradationKind::InForkChildren, "the system can't keep a region back");
        }
        self.adopt(tier, region, extra)
    }

    fn adopt(&mut self, tier: usize, mut region: Region, extra: usize) -> Result<(), String> {
        let home = (extra > 0).then(|| {
            let granule = region.take_tail(extra / GRANULE);
            region.address(granule)
        });
        if self.settings.guarded
            && let Err(error) = region.shut()
        {
            // SAFETY: nobody has seen the region.
            unsafe { sys::unmap(region.mapping()) };
            return Err(format!("mprotect: {error}"));
        }
        let number = self.tiers[tier].place(region);
        if let Some(address) = home {
            self.cipher = Some(CipherHome { tier, region: number, address, ready: false });
        }
        Ok(())
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        drop_cipher(&mut self.cipher);
        for region in self.tiers.iter_mut().flat_map(Tier::mapped) {
            // SAFETY: slots keep their vault alive, so none is left.
            unsafe { sys::unmap(region.mapping()) };
        }
    }
}

impl Tier {
    fn new(backend: Backend) -> Self {
        Self {
            backend,
            regions: Vec::new(),
            bins: Vec::new(),
            next_region_bytes: FIRST_REGION_BYTES,
            refused: None,
        }
    }

    fn region(&mut self, number: usize) -> &mut Region {
        self.regions[number].as_mut().expect("a region stays mapped while blocks of it live")
    }

    fn mapped(&mut self) -> impl Iterator<Item = &mut Region> {
        self.regions.iter_mut().flatten()
    }

    fn bin(&mut self, granules: usize) -> &mut Vec<(u32, u32)> {
        if self.bins.is_empty() {
            self.bins.resize_with(BINNED_GRANULES + 1, Vec::new);
        }
        &mut self.bins[granules]
    }

    fn take(&mut self, granules: usize) -> Option<(usize, usize)> {
        if granules <= BINNED_GRANULES
            && let Some((region, granule)) = self.bins.get_mut(granules).and_then(Vec::pop)
        {
            return Some((region as usize, granule as usize));
        }
        self.search(granules).or_else(
            || {
                if self.empty_bins() { self.search(granules) } else { None }
            },
        )
    }

    fn search(&mut self, granules: usize) -> Option<(usize, usize)> {
        self.regions.iter_mut().enumerate().find_map(|(number, region)| {
            region.as_mut()?.take(granules).map(|granule| (number, granule))
        })
    }

    /// Marks what waits in the bins as free, so that neighbours join; answers whether there was anything.
    fn empty_bins(&mut self) -> bool {
        let Self { bins, regions, .. } = self;
        let mut any = false;
        for (granules, bin) in bins.iter_mut().enumerate() {
            for (region, granule) in bin.drain(..) {
                any = true;
                if let Some(region) = &mut regions[region as usize] {
                    region.give_back(granule as usize, granules);
                }
            }
        }
        any
    }

    fn binned_bytes(&self) -> usize {
        self.bins.iter().enumerate().map(|(granules, bin)| granules * bin.len() * GRANULE).sum()
    }

    /// Maps `wanted` bytes, or half of it, and so on down to `need`.
    fn map(&mut self, wanted: usize, need: usize, page: usize) -> Result<Region, String> {
        if let Some((bytes, reason)) = &self.refused
            && need >= *bytes
        {
            return Err(reason.clone());
        }
        let mut bytes = wanted;
        loop {
            match Region::map(self.backend, bytes) {
                Ok(region) => {
                    self.next_region_bytes = bytes * 2;
                    return Ok(region);
                }
                Err(_) if bytes > need => bytes = (bytes / 2 / page * page).max(need),
                Err(refusal) => {
                    let reason = explain(&refusal);
                    self.refused = Some((need, reason.clone()));
                    return Err(reason);
                }
            }
        }
    }

    fn place(&mut self, region: Region) -> usize {
        let number = self.regions.iter().position(Option::is_none).unwrap_or(self.regions.len());
        if number == self.regions.len() {
            self.regions.push(Some(region));
        } else {
            self.regions[number] = Some(region);
        }
        number
    }
}

fn drop_cipher(cipher: &mut Option<CipherHome>) {
    if let Some(home) = cipher.take() {
        // SAFETY: the home was reserved for a cipher, and no sealed value is left to need it.
        unsafe { wipe::wipe(home.address.as_ptr(), seal::CIPHER_BYTES) };
    }
}

/// The verdict over collected differences, without a branch on any part of them.
fn all_zero(difference: Canary) -> Result<(), Smashed> {
    let halves = difference | difference >> 64;
    #[allow(clippy::cast_possible_truncation, reason = "the upper half was folded in")]
    let folded = halves as u64;
    if bool::from(folded.ct_eq(&0)) { Ok(()) } else { Err(Smashed) }
}

fn index32(index: usize) -> u32 {
    u32::try_from(index).expect("regions hold less than 2^32 granules")
}

/// The refusal as a sentence, with the limit that explains most of them.
fn explain(refusal: &Refusal) -> String {
    let Refusal { step, error } = refusal;
    let out_of_room =
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory)
            || error.kind() == io::ErrorKind::PermissionDenied;
    match sys::limit(Resource::LockedMemory) {
        Some(Limit { soft, .. }) if out_of_room => {
            format!("{step}: {error}; the limit on locked memory is {soft} bytes")
        }
        _ => format!("{step}: {error}"),
    }
}

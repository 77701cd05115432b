//! Object stores as a remote tier: S3 and what speaks like it, Google Cloud Storage, Azure, `WebDAV`.

use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt as _;
use object_store::{
    Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, WriteMultipart,
    path::Path,
};
use tokio::runtime::Runtime;
use url::Url;

use super::{Remote, RemoteError};

/// Objects are sent in parts of this size; smaller ones in one request.
const PART: u64 = 8 << 20;
/// How many parts are under way at a time: the memory that sending takes.
const PARTS_UNDER_WAY: usize = 2;

/// An object store, used from ordinary threads.
pub struct ObjectStoreRemote {
    store: Box<dyn ObjectStore>,
    prefix: Path,
    runtime: Runtime,
}

impl fmt::Debug for ObjectStoreRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store's own output may show how it signs in.
        f.debug_struct("ObjectStoreRemote").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl ObjectStoreRemote {
    /// The store at an address like `s3://bucket/folder`, `gs://…`, `az://…`, `https://…`, with the
    /// options of the [`object_store`](https://docs.rs/object_store) crate: credentials, region,
    /// endpoint, time limits. Nothing is read from the environment.
    ///
    /// # Errors
    /// The address or an option is not understood.
    ///
    /// # Security
    /// Credentials are kept by that crate, in ordinary memory.
    pub fn open<K: AsRef<str>, V: Into<String>>(
        address: &str,
        options: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, RemoteError> {
        let address = Url::parse(address).map_err(RemoteError::failed)?;
        let (store, prefix) =
            object_store::parse_url_opts(&address, options).map_err(RemoteError::failed)?;
        Self::new(store, prefix)
    }

    /// A store that is set up already, from `prefix` down.
    ///
    /// # Errors
    /// The system has no resources for another event loop.
    pub fn new(store: Box<dyn ObjectStore>, prefix: Path) -> Result<Self, RemoteError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RemoteError::failed)?;
        Ok(Self { store, prefix, runtime })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), object_store::path::Path::join)
    }
}

impl Remote for ObjectStoreRemote {
    fn fetch(&self, name: &str, to: &mut dyn io::Write) -> Result<bool, RemoteError> {
        self.runtime.block_on(async {
            let object = match self.store.get(&self.path(name)).await {
                Ok(object) => object,
                Err(Error::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(failed(error)),
            };
            let mut pieces = object.into_stream();
            while let Some(piece) = pieces.next().await {
                to.write_all(&piece.map_err(failed)?).map_err(RemoteError::failed)?;
            }
            Ok(true)
        })
    }

    fn store(
        &self,
        name: &str,
        from: &mut dyn io::Read,
        len: u64,
        only_new: bool,
    ) -> Result<bool, RemoteError> {
        let path = self.path(name);
        self.runtime.block_on(async {
            if !only_new && len > PART {
                return self.store_in_parts(&path, from).await.map(|()| true);
            }
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(RemoteError::failed)?;
            let mode = if only_new { PutMode::Create } else { PutMode::Overwrite };
            let options = PutOptions { mode, ..PutOptions::default() };
            match self.store.put_opts(&path, PutPayload::from(bytes), options).await {
                Ok(_) => Ok(true),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) if only_new => {
                    Ok(false)
                }
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn remove(&self, name: &str) -> Result<(), RemoteError> {
        match self.runtime.block_on(self.store.delete(&self.path(name))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn age(&self, name: &str) -> Result<Option<Duration>, RemoteError> {
        match self.runtime.block_on(self.store.head(&self.path(name))) {
            Ok(meta) => {
                let stored = SystemTime::from(meta.last_modified);
                // A store whose clock is ahead of ours has stored it just now.
                Ok(Some(SystemTime::now().duration_since(stored).unwrap_or_default()))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl ObjectStoreRemote {
    async fn store_in_parts(
        &self,
        path: &Path,
        from: &mut dyn io::Read,
    ) -> Result<(), RemoteError> {
        let upload = self.store.put_multipart(path).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut piece = vec![0; 256 << 10];
        loop {
            let ready = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    upload.write(&piece[..count]);
                    upload.wait_for_capacity(PARTS_UNDER_WAY).await.map_err(failed)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) => Err(RemoteError::failed(error)),
            };
            if let Err(error) = ready {
                let _kept_until_the_store_tidies_up = upload.abort().await;
                return Err(error);
            }
        }
        upload.finish().await.map(drop).map_err(failed)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "8 MiB")]
const PART_BYTES: usize = PART as usize;

fn failed(error: Error) -> RemoteError {
    match error {
        Error::NotImplemented { .. } | Error::NotSupported { .. } => RemoteError::Unsupported,
        other => RemoteError::failed(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> ObjectStoreRemote {
        ObjectStoreRemote::open("memory:///under/this", [("", ""); 0]).unwrap()
    }

    #[test]
    fn objects_come_back_as_they_went() {
        let remote = remote();
        for len in [0, 1, PART_BYTES, 2 * PART_BYTES + 1] {
            let bytes: Vec<u8> = (0..len).map(|n| n.to_le_bytes()[0]).collect();
            assert!(remote.store("ab/cd", &mut &bytes[..], len as u64, false).unwrap());
            let mut back = Vec::new();
            assert!(remote.fetch("ab/cd", &mut back).unwrap());
            assert!(back == bytes, "{len}");
        }
        assert!(remote.age("ab/cd").unwrap().unwrap() < Duration::from_mins(1));
        remote.remove("ab/cd").unwrap();
        assert!(!remote.fetch("ab/cd", &mut Vec::new()).unwrap());
        assert_eq!(remote.age("ab/cd").unwrap(), None);
    }

    #[test]
    fn only_the_first_makes_a_new_one() {
        let remote = remote();
        assert!(remote.store("x", &mut &b"1"[..], 1, true).unwrap());
        assert!(!remote.store("x", &mut &b"2"[..], 1, true).unwrap());
        let mut back = Vec::new();
        assert!(remote.fetch("x", &mut back).unwrap());
        assert_eq!(back, b"1");
    }

    #[test]
    fn an_address_that_is_none() {
        for address in ["", "bucket", "nfs://x/y"] {
            assert!(ObjectStoreRemote::open(address, [("", ""); 0]).is_err(), "{address}");
        }
    }
}

//! Finding the configuration: in a folder, or in the nearest one above it.

use std::path::{self, Path, PathBuf};

use super::FILE_NAME;

/// The `dsops.yaml` in `start_dir` or in the nearest folder above it.
///
/// Only a file counts; a folder of that name is passed by. A file that cannot be read counts: to
/// take one further up instead would be a surprise.
pub fn find_config(start_dir: &Path) -> Option<PathBuf> {
    // Without a current folder a relative path has nothing above it.
    let start = path::absolute(start_dir).unwrap_or_else(|_| start_dir.to_owned());
    start.ancestors().map(|dir| dir.join(FILE_NAME)).find(|candidate| {
        candidate.metadata().map_or_else(
            |error| error.kind() == std::io::ErrorKind::PermissionDenied,
            |metadata| !metadata.is_dir(),
        )
    })
}

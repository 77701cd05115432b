//! Every environment variable that `dsops` itself reads, each named once.

/// The configuration file, as `--config`.
pub const CONFIG: &str = "DSOPS_CONFIG";
/// The environment of the configuration, as `--env`.
pub const ENV: &str = "DSOPS_ENV";
/// No colours, as `--no-color`.
pub const NO_COLOR_FLAG: &str = "DSOPS_NO_COLOR";
/// Only errors and warnings, as `--quiet`.
pub const QUIET: &str = "DSOPS_QUIET";
/// More detail, as `--verbose`.
pub const VERBOSE: &str = "DSOPS_VERBOSE";
/// Never ask, as `--non-interactive`.
pub const NON_INTERACTIVE: &str = "DSOPS_NON_INTERACTIVE";
/// The convention of <https://no-color.org>: any value but the empty one turns colours off.
pub const NO_COLOR: &str = "NO_COLOR";
/// A terminal that cannot show colours says `dumb` here.
pub const TERM: &str = "TERM";

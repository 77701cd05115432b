//! Which variables of an environment a command is about: the flags that say it.

use dsops_resolver::Selection;

// The flags of commands that work on many variables.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Selected {
    /// Only the variables of this scope of the configuration (repeatable)
    #[arg(long, value_name = "NAME")]
    pub scope: Vec<String>,
    /// Only variables whose names match (repeatable, `*` and `?` match)
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<String>,
    /// No variables whose names match (repeatable, `*` and `?` match)
    #[arg(long, value_name = "GLOB")]
    pub except: Vec<String>,
}

impl From<&Selected> for Selection {
    fn from(flags: &Selected) -> Self {
        Self { scopes: flags.scope.clone(), only: flags.only.clone(), except: flags.except.clone() }
    }
}

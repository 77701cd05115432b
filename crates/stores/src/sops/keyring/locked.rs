//! Identities that a passphrase protects: asked for once in a run, and only when they are needed.

use std::sync::{Arc, OnceLock};

use dsops_resolver::{Environment, StoreError};

use crate::age::{Error, Identity, LockedIdentity, Recipient};

/// Holds the passphrase of a protected identity, for where there is nobody to ask.
pub const PASSPHRASE_VARIABLE: &str = "DSOPS_AGE_PASSPHRASE";
/// How often the user is asked for the same passphrase.
const ATTEMPTS: usize = 3;

/// A protected identity and what came of opening it.
#[derive(Debug)]
pub(super) struct Locked {
    /// Where it is, for people.
    place: String,
    identity: LockedIdentity,
    outcome: OnceLock<Outcome>,
}

/// Its identities, or why there are none.
type Outcome = Result<Vec<Arc<Identity>>, String>;

impl Locked {
    pub(super) fn new(place: &str, identity: LockedIdentity) -> Self {
        Self { place: place.to_owned(), identity, outcome: OnceLock::new() }
    }

    /// Whose it is, where that is known without the passphrase.
    pub(super) fn recipient(&self) -> Option<&Recipient> {
        self.identity.recipient()
    }

    /// The identities, if it was opened.
    pub(super) fn opened(&self) -> &[Arc<Identity>] {
        self.outcome.get().and_then(|outcome| outcome.as_deref().ok()).unwrap_or_default()
    }

    /// What was found there, for people.
    pub(super) fn found(&self) -> String {
        match (self.outcome.get(), self.recipient()) {
            (None, None) => "protected by a passphrase, not opened".to_owned(),
            (None, Some(recipient)) => {
                format!("identity of {recipient}, protected by a passphrase, not opened")
            }
            (Some(Ok(identities)), _) => match &**identities {
                [one] => format!("identity of {}, opened with its passphrase", one.recipient()),
                more => format!("{} identities, opened with their passphrase", more.len()),
            },
            (Some(Err(reason)), _) => reason.clone(),
        }
    }

    /// Opens it with the passphrase of the variable, else with one the user is asked for. What
    /// came of it is kept: nobody is asked twice in a run.
    ///
    /// # Errors
    /// The user declined, or the variable cannot be moved into protected memory.
    pub(super) fn unlock(
        &self,
        environment: &dyn Environment,
    ) -> Result<&[Arc<Identity>], StoreError> {
        if self.outcome.get().is_none() {
            let outcome = self.try_unlock(environment)?;
            let _ = self.outcome.set(outcome);
        }
        Ok(self.opened())
    }

    fn try_unlock(&self, environment: &dyn Environment) -> Result<Outcome, StoreError> {
        let mut wrong = None;
        if let Some(passphrase) = environment.credential(PASSPHRASE_VARIABLE)? {
            match self.identity.unlock(&passphrase) {
                Err(Error::WrongPassphrase) => {
                    wrong =
                        Some(format!("the passphrase in {PASSPHRASE_VARIABLE} does not open it"));
                }
                decided => return Ok(outcome(decided)),
            }
        }
        for attempt in 0..ATTEMPTS {
            let again = if attempt == 0 { "" } else { " (the last one was wrong)" };
            let prompt = format!("passphrase of {}{again}", self.place);
            let Some(passphrase) = environment.passphrase(&prompt)? else { break };
            match self.identity.unlock(&passphrase) {
                Err(Error::WrongPassphrase) => wrong = Some("the passphrase is wrong".to_owned()),
                decided => return Ok(outcome(decided)),
            }
        }
        Ok(Err(wrong.unwrap_or_else(|| {
            format!(
                "protected by a passphrase, and there is nobody to ask; set {PASSPHRASE_VARIABLE}"
            )
        })))
    }
}

fn outcome(unlocked: Result<crate::age::IdentityFile, Error>) -> Outcome {
    match unlocked {
        Ok(file) => Ok(file.identities.into_iter().map(Arc::new).collect()),
        Err(error) => Err(error.to_string()),
    }
}

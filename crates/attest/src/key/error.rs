//! Why a key cannot be read, made or used.

/// Why a key cannot be read, made or used. No part of a key or passphrase is ever shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is not one of a private key.
    #[error("it {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is a key, but not ECDSA on P-256 or Ed25519.
    #[error("it is no private key on P-256 (ECDSA) or Ed25519")]
    Kind,
    /// It is encrypted in a way that is not read here.
    #[error("it is encrypted in a way that is not read here: {what}")]
    Unsupported {
        /// What of it.
        what: &'static str,
    },
    /// To open it would take more memory or time than a file may ask for.
    #[error(
        "it asks scrypt for N={n}, r={r}, p={p}, which is more than 64 MiB of memory or more than one pass"
    )]
    TooCostly {
        /// How many blocks.
        n: u64,
        /// How large a block is, in 128 bytes.
        r: u64,
        /// How often.
        p: u64,
    },
    /// It is encrypted, and there is no passphrase.
    #[error("it is encrypted, and there is no passphrase")]
    PassphraseNeeded,
    /// The passphrase does not open it.
    #[error("the passphrase does not open it")]
    WrongPassphrase,
    /// A passphrase has no characters.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// No key or random number could be made.
    #[error("the system's cryptography made no key")]
    Generate,
    /// The key did not sign.
    #[error("it did not sign")]
    Sign,
    /// Protected memory cannot be had.
    #[error(transparent)]
    Memory(#[from] dsops_secure_mem::Error),
}

impl KeyError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Malformed { .. } | Self::Kind => {
                "make one with `dsops sign keygen`, `cosign generate-key-pair`, or \
                 `openssl genpkey -algorithm ed25519`"
            }
            Self::TooCostly { .. } => {
                "write it again by the program that made it, with lower costs (such as N=65536, r=8, p=1), \
                 or make a new one with `dsops sign keygen`"
            }
            Self::Unsupported { .. } => {
                "convert it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`"
            }
            _ => return None,
        })
    }
}

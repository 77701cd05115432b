//! The types that a value can be set as.

use std::{fmt::Write as _, str::FromStr};

use dsops_secure_mem::SecretBytes;
use zeroize::Zeroizing;

use super::{Error, value::Kind};

/// The type of a value that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// Text, or any bytes.
    Str,
    /// A whole number of 64 bits.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
}

impl ValueType {
    /// The type of the document, and the plaintext where it is not the value as it was given; or
    /// why the value is not of the type.
    pub(super) fn canonical(
        self,
        value: &SecretBytes,
    ) -> Result<Result<(Kind, Option<SecretBytes>), &'static str>, Error> {
        let bytes = value.expose();
        Ok(match self {
            Self::Str => Ok((Kind::Str, None)),
            Self::Int if Kind::Int.check(&bytes).is_ok() => Ok((Kind::Int, None)),
            Self::Int => {
                Err("the value is no whole number of 64 bits in decimal, without leading zeros")
            }
            Self::Bool => match &*bytes {
                b"true" => Ok((Kind::Bool, Some(SecretBytes::copy_from(b"True")?))),
                b"false" => Ok((Kind::Bool, Some(SecretBytes::copy_from(b"False")?))),
                _ => Err("the value is neither `true` nor `false`"),
            },
            Self::Float => {
                let text = std::str::from_utf8(&bytes).ok();
                match text.and_then(|text| text.parse::<f64>().ok()).filter(|v| v.is_finite()) {
                    Some(number) => {
                        // The longest number has 309 digits before its point, or 325 after it.
                        let mut text = Zeroizing::new(String::with_capacity(1100));
                        write!(text, "{number}").expect("writing to a string does not fail");
                        Ok((Kind::Float, Some(SecretBytes::copy_from(text.as_bytes())?)))
                    }
                    None => Err("the value is not a number"),
                }
            }
        })
    }
}

impl FromStr for ValueType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Self, UnknownType> {
        Ok(match name {
            "str" | "string" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            _ => return Err(UnknownType(name.to_owned())),
        })
    }
}

/// The name is none of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no type `{0}`; there are str, int, float and bool")]
pub struct UnknownType(String);

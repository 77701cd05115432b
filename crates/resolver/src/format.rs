//! The format of `dsops.yaml` as data: every section and key once, with its kind and meaning.
//!
//! The strict reader takes the keys it knows from here, the JSON schema ([`schema()`]) and the tables
//! of the reference are written from it, and a store describes its own settings in the same form
//! ([`StoreFactory::settings`](crate::StoreFactory::settings)), so that its unknown keys, wrong
//! kinds and missing keys are found without code of its own.

mod json;
mod schema;
mod tables;

pub use schema::schema;
pub use tables::{sections, table};

use crate::diagnostic::suggest;

/// One key: its name, what it takes, what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// As written in the file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it has to be there.
    pub required: bool,
    /// What it means: a sentence for people.
    pub doc: &'static str,
}

impl Setting {
    /// A key that may be left out.
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: false, doc }
    }

    /// A key that has to be there.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Text; a number or boolean counts as the text it was written as.
    Text,
    /// Text that is a secret: shown nowhere.
    Secret,
    /// A path; relative ones start at the folder of the configuration.
    Path,
    /// A reference, `store://NAME/PATH#FIELD?version=V`.
    Reference,
    /// `true` or `false`.
    Boolean,
    /// A time, as `15m`; a number counts as seconds.
    Duration,
    /// A whole number.
    Integer {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A mapping with these keys and no others.
    Keys(&'static [Setting]),
    /// A mapping from names of the user's choice.
    Map(&'static Kind),
    /// A list.
    List(&'static Kind),
    /// Any one of these.
    OneOf(&'static [Kind]),
    /// Nothing.
    Null,
    /// Whatever: it is not looked at.
    Anything,
    /// The settings of a store, which depend on its type.
    Store,
    /// The variables of an environment, and its `extends`.
    Environment,
}

/// A text or a list of texts.
pub const TEXTS: Kind = Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]);

const NUMBER_OF_VERSION: Kind = Kind::Integer { least: 0, most: 1 };

/// The top of the file.
pub const FILE: &[Setting] = &[
    Setting::new(
        "version",
        NUMBER_OF_VERSION,
        "The version of the format: 0 or 1, which mean the same. 0 when it is left out.",
    ),
    Setting::new(
        "include",
        TEXTS,
        "Files to start from, relative to this one. Later ones win over earlier ones, and this file over all of them.",
    ),
    Setting::new("secretStores", Kind::Map(&Kind::Store), "The stores, by name."),
    Setting::new(
        "providers",
        Kind::Map(&Kind::Store),
        "The older name of `secretStores`. Both share one set of names.",
    ),
    Setting::new(
        "envs",
        Kind::Map(&Kind::Environment),
        "The environments, by name: for each variable, where its value comes from.",
    ),
    Setting::new(
        "transforms",
        Kind::Map(&CHAIN),
        "Chains of transforms, by name. A chain may name others.",
    ),
    Setting::new(
        "scopes",
        Kind::Map(&SCOPE_FORMS),
        "Subsets of the variables, by name, for `--scope`.",
    ),
    Setting::new(
        "templates",
        Kind::List(&Kind::Keys(TEMPLATE)),
        "Files that `render` writes, by name.",
    ),
    Setting::new("services", Kind::Anything, "Loads, and is not acted upon: nothing is rotated."),
    Setting::new(
        "service_groups",
        Kind::Anything,
        "Loads, and is not acted upon: nothing is rotated.",
    ),
    Setting::new("rotation", Kind::Anything, "Loads, and is not acted upon: nothing is rotated."),
    Setting::new(
        "policies",
        Kind::Anything,
        "Loads, and is not acted upon: no policy is enforced.",
    ),
    Setting::new("notifications", Kind::Anything, "Loads, and is not acted upon: nothing is sent."),
    Setting::new("metrics", Kind::Anything, "Loads, and is not acted upon: no metrics are served."),
];

/// The keys that a store of every type has.
pub const STORE: &[Setting] = &[
    Setting::new("type", Kind::Text, "The type of the store.").required(),
    Setting::new(
        "timeout_ms",
        Kind::Integer { least: 0, most: u32::MAX as u64 },
        "How long one call may take, in milliseconds. 0 is the default.",
    ),
    Setting::new(
        "retries",
        Kind::Integer { least: 0, most: 10 },
        "How often a call that failed is tried again, when that is safe.",
    ),
    Setting::new(
        "concurrency",
        Kind::Integer { least: 1, most: 256 },
        "How many calls may be under way at the same time.",
    ),
    Setting::new(
        "cache",
        Kind::Keys(CACHE),
        "Keeps what the store answers on this machine, encrypted. Nothing is kept when it is left out.",
    ),
];

/// `cache` of a store.
pub const CACHE: &[Setting] = &[
    Setting::new("ttl", Kind::Duration, "So long an answer is used without asking the store.")
        .required(),
    Setting::new(
        "max_ttl",
        Kind::Duration,
        "An answer that is older is never used: at least `ttl` and `stale_if_error` together, which is the default, and at most 30 days.",
    ),
    Setting::new(
        "stale_if_error",
        Kind::Duration,
        "So much longer than `ttl` an answer is used when the store does not answer, with a warning. A store that refuses, is locked or has no such item is believed.",
    ),
    Setting::new(
        "offline",
        Kind::Choice(&["allow", "deny"]),
        "Whether `--offline` may use answers, up to `max_ttl`. `allow` when it is left out.",
    ),
];

/// The keys of an environment that are not variables.
pub const ENVIRONMENT: &[Setting] = &[Setting::new(
    "extends",
    TEXTS,
    "The environments it starts from; later ones win, its own variables over all. A variable set to nothing (`NAME:`) removes an inherited one.",
)];

/// A variable in full.
pub const VARIABLE: &[Setting] = &[
    Setting::new("from", FROM_FORMS, "Where the value comes from."),
    Setting::new("literal", Kind::Text, "The value itself, for what is no secret."),
    Setting::new(
        "default",
        Kind::Text,
        "The value when the store has no such item, as it is: `transform` is not applied to it.",
    ),
    Setting::new(
        "optional",
        Kind::Boolean,
        "Whether the variable is left out when the store has no such item. Any other failure stays one.",
    ),
    Setting::new(
        "transform",
        CHAIN,
        "What is done to the value: `trim,base64_decode`, or a list of steps.",
    ),
    Setting::new("service", Kind::Anything, "Loads, and is not acted upon: nothing is rotated."),
    Setting::new("rotation", Kind::Anything, "Loads, and is not acted upon: nothing is rotated."),
    Setting::new("metadata", Kind::Map(&Kind::Anything), "Notes for people and other tools."),
];

/// `from` as a mapping.
pub const FROM: &[Setting] = &[
    Setting::new("store", Kind::Text, "The name of a store, with `key`; or a whole reference."),
    Setting::new("key", Kind::Text, "The item, in the store's own grammar."),
    Setting::new("field", Kind::Text, "One value inside the item."),
    Setting::new("version", Kind::Text, "The version of the item."),
    Setting::new("provider", Kind::Text, "The older name of `store`."),
    Setting::new(
        "service",
        Kind::Text,
        "What is rotated. It names no secret: a variable that has it cannot be planned.",
    ),
];

/// One entry of `templates`.
pub const TEMPLATE: &[Setting] = &[
    Setting::new("name", Kind::Text, "Its name, for `render`.").required(),
    Setting::new("format", Kind::Text, "The format of the file, as `--format` of `render`."),
    Setting::new("env", Kind::Text, "The environment it is for."),
    Setting::new("out", Kind::Path, "The file that is written."),
    Setting::new("template_path", Kind::Path, "The template, when the format is `template`."),
];

/// A scope as a mapping.
pub const SCOPE: &[Setting] = &[
    Setting::new("extends", TEXTS, "The scopes whose variables it has too."),
    Setting::new("only", TEXTS, "Names of variables, or patterns with `*` and `?`."),
    Setting::new("except", TEXTS, "Names or patterns of variables that it does not have."),
];

const CHAIN: Kind = Kind::OneOf(&[
    Kind::Text,
    Kind::List(&Kind::OneOf(&[
        Kind::Text,
        Kind::Map(&Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text), Kind::Null])),
    ])),
    Kind::Null,
]);
const SCOPE_FORMS: Kind = Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text), Kind::Keys(SCOPE)]);
const FROM_FORMS: Kind = Kind::OneOf(&[Kind::Reference, Kind::Keys(FROM)]);
const VARIABLE_FORMS: Kind = Kind::OneOf(&[Kind::Reference, Kind::Keys(VARIABLE), Kind::Null]);

/// Whether a description has a key.
pub(crate) fn has(settings: &[Setting], name: &str) -> bool {
    settings.iter().any(|setting| setting.name == name)
}

/// What to say about a key that a description does not have.
pub(crate) fn unknown_help(name: &str, known: &[Setting]) -> String {
    let names = || known.iter().map(|setting| setting.name);
    match suggest(name, names()) {
        Some(likely) => format!("did you mean `{likely}`?"),
        None => format!("it has: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

impl Kind {
    /// The kind in words.
    pub fn words(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "text, a secret".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Reference => "a reference (`store://…`)".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Duration => "a time, as `15m`, or seconds".to_owned(),
            Self::Integer { least, most } if *most >= u64::from(u32::MAX) => {
                format!("a whole number from {least}")
            }
            Self::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Self::Choice(choices) => {
                choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or ")
            }
            Self::Keys(_) | Self::Store | Self::Environment => "a mapping".to_owned(),
            Self::Map(kind) if **kind == Self::Anything => "a mapping".to_owned(),
            Self::Map(kind) => format!("a mapping of names to {}", kind.words()),
            Self::List(kind) => format!("a list of {}", kind.words()),
            Self::OneOf(kinds) => {
                let kinds = kinds.iter().filter(|kind| **kind != Self::Null);
                kinds.map(Self::words).collect::<Vec<_>>().join(", or ")
            }
            Self::Null => "nothing".to_owned(),
            Self::Anything => "anything".to_owned(),
        }
    }
}

//! Whatever `render` writes as dotenv or JSON, `import` reads as the same bytes; and readers never panic.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use dsops_formats::{Dialect, Format, ImportFormat, Options, import, render};
use dsops_secure_mem::SecretBytes;
use proptest::prelude::*;

/// Text with more of what quoting stumbles over than chance would give.
fn awkward_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-zA-Z0-9_./:-]{0,8}",
        6 => proptest::sample::select(vec![
            "'", "\"", "\\", "`", "$", "${A}", "$(id)", "\n", "\r", "\r\n", "#", " #", " ", "\t", "!", "\\n", "\\'",
            "\\\"", "\\\\", "''", "=", "export ", "~", "*", ";", "&", "\u{1}", "\u{1b}", "\u{7f}", "\u{85}",
            "\u{2028}", "\u{feff}", "é", "😀", "\u{2019}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn variables(
    text: impl Strategy<Value = String>,
) -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,12}", text, 0..6)
}

fn round_trip(
    variables: &BTreeMap<String, String>,
    format: Format,
    options: &Options<'_>,
    back: ImportFormat,
) -> BTreeMap<String, String> {
    let secrets: BTreeMap<_, _> = variables
        .iter()
        .map(|(name, value)| (name, SecretBytes::copy_from(value.as_bytes()).unwrap()))
        .collect();
    let borrowed: Vec<_> = secrets.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let file = render(format, &borrowed, options).unwrap();
    let imported = import(back, &file.expose()).unwrap();
    assert!(imported.references.is_empty());
    let text = |value: &SecretBytes| String::from_utf8(value.expose().to_vec()).unwrap();
    imported.values.iter().map(|value| (value.name.clone(), text(&value.value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn dotenv_comes_back(variables in variables(awkward_text().prop_map(|text| text.replace('\0', "")))) {
        let back = round_trip(&variables, Format::Dotenv, &Options::default(), ImportFormat::Dotenv);
        prop_assert_eq!(back, variables);
    }

    #[test]
    fn json_comes_back(variables in variables(awkward_text()), flat: bool) {
        let mut options = Options::default();
        options.flat = flat;
        let back = round_trip(&variables, Format::Json, &options, ImportFormat::Json);
        prop_assert_eq!(back, variables);
    }

    #[test]
    fn what_all_dialects_write_alike_comes_back(text in awkward_text()) {
        let value = SecretBytes::copy_from(text.as_bytes()).unwrap();
        let written = |dialect| {
            let mut options = Options::default();
            options.dialect = dialect;
            let file = render(Format::Dotenv, &[("A", &value)], &options).ok()?;
            Some(file.expose().to_vec())
        };
        let files: Option<Vec<_>> = Dialect::ALL.into_iter().map(written).collect();
        if let Some(files) = files && files.iter().all(|file| *file == files[0]) {
            let imported = import(ImportFormat::Dotenv, &files[0]).unwrap();
            prop_assert_eq!(&*imported.values[0].value.expose(), text.as_bytes());
        }
    }

    #[test]
    fn readers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in awkward_text()) {
        for format in ImportFormat::ALL {
            let _ = import(format, &bytes);
            let _ = import(format, format!("A={text}\nB=1").as_bytes());
            let _ = import(format, format!("[secrets]\nA = \"{text}\"").as_bytes());
            let _ = import(format, format!("{{\"A\": \"{text}\"}}").as_bytes());
        }
    }
}

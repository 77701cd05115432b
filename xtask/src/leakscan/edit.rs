//! Damages the text of a configuration or a store in chosen ways.

/// Replaces what stands behind `key:` on its line, and what is nested below it.
pub fn edit_value(text: &str, key: &str, new: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut below = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if below.is_some_and(|depth| indent > depth) {
            continue;
        }
        below = None;
        match line.trim_start().strip_prefix(key).and_then(|rest| rest.strip_prefix(':')) {
            Some(old) => {
                below = Some(indent);
                out.extend([&line[..indent], key, ": ", &new(old.trim()), "\n"]);
            }
            None => out.extend([line, "\n"]),
        }
    }
    out
}

/// Changes one character of an encrypted value's data.
pub fn flip_data(value: &str) -> String {
    const MARK: &str = "data:";
    let Some(at) = value.find(MARK).map(|at| at + MARK.len()) else { return value.to_owned() };
    let changed = if value[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{changed}{}", &value[..at], &value[at + 1..])
}

/// Lets two variables change places.
pub fn exchange(store: &str) -> String {
    let value_of = |key: &str| {
        let line = store.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let (first, second) = (value_of("SECRET_16"), value_of("SECRET_40"));
    let store = edit_value(store, "SECRET_16", |_| second.clone());
    edit_value(&store, "SECRET_40", |_| first.clone())
}

/// Removes every line that starts so.
pub fn remove_line(text: &mut String, start: &str) {
    *text = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(start))
        .flat_map(|line| [line, "\n"])
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_with_all_below_it() {
        let text = "a:\n  B:\n    from: x\n    more: y\n  C: 1\n";
        assert_eq!(edit_value(text, "B", |_| "new".into()), "a:\n  B: new\n  C: 1\n");
        assert_eq!(edit_value("B: old\n", "B", |old| format!("{old}er")), "B: older\n");
    }

    #[test]
    fn the_data_of_a_value_changes_in_one_character() {
        assert_eq!(flip_data("ENC[AES256_GCM,data:Axy,iv:"), "ENC[AES256_GCM,data:Bxy,iv:");
        assert_eq!(flip_data("ENC[AES256_GCM,data:xxy,iv:"), "ENC[AES256_GCM,data:Axy,iv:");
    }

    #[test]
    fn values_change_places() {
        let store = "SECRET_16: one\nSECRET_40: two\nsops: {}\n";
        assert_eq!(exchange(store), "SECRET_16: two\nSECRET_40: one\nsops: {}\n");
    }

    #[test]
    fn lines_are_removed() {
        let mut text = "sops:\n    mac: x\n    age: y\n".to_owned();
        remove_line(&mut text, "mac:");
        assert_eq!(text, "sops:\n    age: y\n");
    }
}

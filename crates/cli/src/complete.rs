//! What may come next on a command line that is being typed. Pure: names come from a [`Names`].
//!
//! Own code, and not that of the parser's authors: theirs is unstable, brings three crates, and
//! leaves the program behind `exec` to nobody, while here the shell completes it.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, ValueHint};

/// Names that only the configuration knows.
pub trait Names {
    /// The environments.
    fn environments(&self, typed: &Typed) -> Vec<String>;
    /// The variables of the environment that is typed, or of the one there is.
    fn variables(&self, typed: &Typed) -> Vec<String>;
    /// The stores.
    fn stores(&self, typed: &Typed) -> Vec<String>;
    /// The scopes.
    fn scopes(&self, typed: &Typed) -> Vec<String>;
}

/// What was typed before that says where names come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    pub config: Option<OsString>,
    pub env: Option<String>,
}

/// What the shell itself completes, beside the candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    #[default]
    Nothing,
    Files,
    Folders,
    /// The command line of another program, which starts at this word (the first one being 0).
    Command(usize),
}

/// What may stand where the cursor is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The whole word, and what it means.
    pub candidates: Vec<(String, String)>,
    pub rest: Rest,
}

/// Completes the last of `words`, which may be empty; the name of the program is not among them.
pub fn complete(root: &Command, words: &[String], names: &dyn Names) -> Answer {
    let Some((current, before)) = words.split_last() else { return Answer::default() };
    let mut state = State { command: root, typed: Typed::default(), place: 0, only_places: false };
    let mut waiting = None;
    for (index, word) in before.iter().enumerate() {
        if let Some(option) = waiting.take() {
            state.typed.take(option, word);
            continue;
        }
        match state.read(word) {
            Step::On => {}
            Step::Waits(option) => waiting = Some(option),
            Step::Program => {
                return Answer { candidates: Vec::new(), rest: Rest::Command(index) };
            }
        }
    }
    let mut answer = if let Some(option) = waiting {
        values(option, "", names, &state.typed)
    } else if let Some((flag, _)) = current.split_once('=').filter(|_| state.takes_flags(current)) {
        match state.long(flag) {
            Some(option) => values(option, &format!("{flag}="), names, &state.typed),
            None => Answer::default(),
        }
    } else if state.takes_flags(current) {
        Answer { candidates: state.flags(), rest: Rest::Nothing }
    } else {
        state.words(before.len(), names)
    };
    answer.candidates.retain(|(word, _)| word.starts_with(current.as_str()) && is_plain(word));
    answer
}

/// Whether a shell takes the word as it is. A name from a configuration that came with somebody
/// else's project must not become a command when it is inserted.
fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || "-_./=:@%+,".contains(c))
}

enum Step<'a> {
    On,
    /// The next word is this option's value.
    Waits(&'a Arg),
    /// A program's own command line starts here.
    Program,
}

struct State<'a> {
    command: &'a Command,
    typed: Typed,
    /// How many arguments without a flag there were.
    place: usize,
    /// `--` was typed.
    only_places: bool,
}

impl<'a> State<'a> {
    fn takes_flags(&self, word: &str) -> bool {
        word.starts_with('-') && !self.only_places
    }

    fn read(&mut self, word: &str) -> Step<'a> {
        if word == "--" && !self.only_places {
            self.only_places = true;
            return Step::On;
        }
        if self.takes_flags(word) && word.len() > 1 {
            let option = match word.split_once('=') {
                Some((flag, value)) => {
                    if let Some(option) = self.long(flag) {
                        self.typed.take(option, value);
                    }
                    return Step::On;
                }
                None if word.starts_with("--") => self.long(word),
                None => self.short(word),
            };
            return match option {
                Some(option) if option.get_action().takes_values() => Step::Waits(option),
                _ => Step::On,
            };
        }
        if let Some(sub) = self.command.find_subcommand(word).filter(|_| !self.only_places) {
            (self.command, self.place) = (sub, 0);
            return Step::On;
        }
        if self.positional().is_some_and(Arg::is_trailing_var_arg_set) {
            return Step::Program;
        }
        self.place += 1;
        Step::On
    }

    fn long(&self, word: &str) -> Option<&'a Arg> {
        let name = word.strip_prefix("--")?;
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    /// The last of `-abc`; those before it take no value.
    fn short(&self, word: &str) -> Option<&'a Arg> {
        let letter = word.chars().next_back()?;
        self.command.get_arguments().find(|arg| arg.get_short() == Some(letter))
    }

    fn positional(&self) -> Option<&'a Arg> {
        self.command.get_positionals().filter(|arg| !arg.is_hide_set()).nth(self.place)
    }

    fn flags(&self) -> Vec<(String, String)> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        shown
            .filter_map(|arg| Some((format!("--{}", arg.get_long()?), about(arg.get_help()))))
            .collect()
    }

    /// Subcommands, or the values of the argument that comes at this place.
    fn words(&self, index: usize, names: &dyn Names) -> Answer {
        if self.command.has_subcommands() && !self.only_places {
            let shown = self.command.get_subcommands().filter(|sub| !sub.is_hide_set());
            let word = |sub: &Command| (sub.get_name().to_owned(), about(sub.get_about()));
            return Answer { candidates: shown.map(word).collect(), rest: Rest::Nothing };
        }
        match self.positional() {
            Some(arg) if arg.is_trailing_var_arg_set() => {
                Answer { candidates: Vec::new(), rest: Rest::Command(index) }
            }
            Some(arg) => values(arg, "", names, &self.typed),
            None => Answer::default(),
        }
    }
}

impl Typed {
    fn take(&mut self, option: &Arg, value: &str) {
        match option.get_id().as_str() {
            "config" => self.config = Some(value.into()),
            "env" => self.env = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// What an argument may be. Arguments of one meaning have one id in all commands.
fn values(arg: &Arg, prefix: &str, names: &dyn Names, typed: &Typed) -> Answer {
    let plain = |names: Vec<String>| -> Vec<(String, String)> {
        names.into_iter().map(|name| (format!("{prefix}{name}"), String::new())).collect()
    };
    let candidates = match arg.get_id().as_str() {
        "env" => plain(names.environments(typed)),
        "name" | "var" | "names" | "only" | "except" => plain(names.variables(typed)),
        "store" | "stores" => plain(names.stores(typed)),
        "scope" | "scopes" => plain(names.scopes(typed)),
        _ if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) => arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| (format!("{prefix}{}", value.get_name()), about(value.get_help())))
            .collect(),
        _ => Vec::new(),
    };
    let rest = match arg.get_value_hint() {
        ValueHint::FilePath | ValueHint::AnyPath | ValueHint::ExecutablePath => Rest::Files,
        ValueHint::DirPath => Rest::Folders,
        _ => Rest::Nothing,
    };
    Answer { candidates, rest }
}

/// A help text on one line.
fn about(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    struct Project;

    impl Names for Project {
        fn environments(&self, typed: &Typed) -> Vec<String> {
            match &typed.config {
                Some(_) => vec!["other".to_owned()],
                None => ["dev", "prod", "$(rm)", "a b"].map(str::to_owned).to_vec(),
            }
        }
        fn variables(&self, typed: &Typed) -> Vec<String> {
            let prefix = typed.env.clone().unwrap_or_default().to_uppercase();
            vec![format!("{prefix}TOKEN"), format!("{prefix}URL")]
        }
        fn stores(&self, _: &Typed) -> Vec<String> {
            vec!["secrets".to_owned()]
        }
        fn scopes(&self, _: &Typed) -> Vec<String> {
            vec!["web".to_owned()]
        }
    }

    fn ask(line: &str) -> (Vec<String>, Rest) {
        let mut root = Args::command();
        root.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let Answer { candidates, rest } = complete(&root, &words, &Project);
        (candidates.into_iter().map(|(word, _)| word).collect(), rest)
    }

    fn words(line: &str) -> Vec<String> {
        ask(line).0
    }

    #[test]
    fn commands_flags_and_their_values() {
        assert!(words("").contains(&"exec".to_owned()));
        assert!(!words("").iter().any(|word| word.starts_with('_')), "hidden ones stay hidden");
        assert_eq!(words("do"), ["doctor"]);
        assert_eq!(words("--env prod pla"), ["plan"]);
        assert_eq!(words("exec --require"), ["--require-protection"]);
        assert_eq!(words("exec --mode r"), ["replace"]);
        assert_eq!(words("exec --mode=s"), ["--mode=supervise"]);
        assert_eq!(words("completion z"), ["zsh"]);
        assert_eq!(ask("plan --config x"), (vec![], Rest::Files));
        assert_eq!(ask("exec --working-dir "), (vec![], Rest::Folders));
    }

    #[test]
    fn names_come_from_the_project_that_is_typed() {
        assert_eq!(words("exec --env "), ["dev", "prod"], "nothing that a shell would run");
        assert_eq!(words("exec --env=p"), ["--env=prod"]);
        assert_eq!(words("--config other.yaml exec --env "), ["other"]);
        assert_eq!(words("get T"), ["TOKEN"]);
        assert_eq!(words("get --env dev "), ["DEVTOKEN", "DEVURL"]);
        assert_eq!(words("--env=dev get --var "), ["DEVTOKEN", "DEVURL"]);
        assert_eq!(words("login s"), ["secrets"]);
        assert_eq!(words("get TOKEN "), [""; 0], "there is one name");
    }

    #[test]
    fn the_program_is_left_to_the_shell() {
        assert_eq!(ask("exec "), (vec![], Rest::Command(1)));
        assert_eq!(ask("exec --env dev -- "), (vec![], Rest::Command(4)));
        assert_eq!(ask("exec -q -- npm run --"), (vec![], Rest::Command(3)));
        assert_eq!(ask("exec npm run --env "), (vec![], Rest::Command(1)));
    }

    #[test]
    fn odd_lines_have_no_answer_and_no_panic() {
        for line in ["nonsense x", "exec --bogus=", "--", "-- x", "get -- ", "= =", "-q-", "--env"]
        {
            ask(line);
        }
        let mut root = Args::command();
        root.build();
        assert_eq!(complete(&root, &[], &Project), Answer::default());
    }
}

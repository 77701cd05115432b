//! What editors leave on disk, and the flags that stop them.

/// What is known of an editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// With these flags it writes the file it was given, and beside it at most.
    None(&'static [&'static str]),
    /// It leaves something elsewhere, whatever the flags; this says what.
    Leaves(&'static str),
    /// Nobody looked.
    Unknown,
}

/// No swap file, no history, no backup, no undo file. The first half runs before the user's own
/// settings are read, the second half after them.
const VIM: &[&str] =
    &["-n", "-i", "NONE", "-c", "set noswapfile nobackup nowritebackup noundofile viminfo="];
const NEOVIM: &[&str] =
    &["-n", "-i", "NONE", "-c", "set noswapfile nobackup nowritebackup noundofile shada="];
/// Without the user's settings, which may ask for backups elsewhere.
const NANO: &[&str] = &["--ignorercfiles"];
const EMACS: &[&str] = &[
    "--eval",
    "(setq make-backup-files nil auto-save-default nil create-lockfiles nil auto-save-list-file-prefix nil)",
];

/// What the editor of this file name leaves.
pub fn editor(name: &str) -> Traces {
    let name = name.strip_suffix(".exe").unwrap_or(name);
    match name {
        "vim" | "gvim" | "vimx" => Traces::None(VIM),
        // Debian's builds: vim.basic, vim.tiny, vim.nox, …
        _ if name.starts_with("vim.") => Traces::None(VIM),
        "nvim" => Traces::None(NEOVIM),
        "nano" => Traces::None(NANO),
        _ if name == "emacs" || name.starts_with("emacs-") => Traces::None(EMACS),
        // They keep the text in memory and write only the file.
        "hx" | "helix" | "kak" | "busybox" | "sed" => Traces::None(&[]),
        "emacsclient" => Traces::Leaves("hands the file to a server whose settings are not known"),
        "nvi" | "ex" => Traces::Leaves("keeps a copy for recovery in /var/tmp"),
        "micro" => Traces::Leaves("keeps backups in its own folder"),
        "code" | "code-insiders" | "codium" | "cursor" | "windsurf" => {
            Traces::Leaves("keeps a history and unsaved text in its own folder")
        }
        "subl" | "sublime_text" | "zed" | "atom" | "idea" | "gedit" => {
            Traces::Leaves("keeps its session in its own folder")
        }
        _ => Traces::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_known_by_the_program_behind_the_link() {
        assert_eq!(editor("vim.basic"), Traces::None(VIM));
        assert_eq!(editor("emacs-nox"), Traces::None(EMACS));
        assert!(matches!(editor("code"), Traces::Leaves(_)));
        assert_eq!(editor("vi"), Traces::Unknown);
        assert_eq!(editor("my-editor.sh"), Traces::Unknown);
    }
}

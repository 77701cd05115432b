//! The figures as a table, for a terminal or for a Markdown page.

/// One line of figures.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure, with its unit.
    pub figure: String,
    /// The smallest, where there are many.
    pub min: String,
    /// What cannot be beaten: the same without us.
    pub floor: String,
    /// What we want.
    pub goal: String,
    /// Whether it was reached.
    pub met: Option<bool>,
}

impl Row {
    fn cells(&self) -> [&str; 6] {
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "",
        };
        [&self.what, &self.figure, &self.min, &self.floor, &self.goal, met]
    }
}

const HEAD: [&str; 6] = ["what", "median", "min", "floor", "goal", "goal met"];

/// The table, as Markdown or with plain columns.
pub fn render(rows: &[Row], markdown: bool) -> String {
    let all: Vec<[&str; 6]> = std::iter::once(HEAD).chain(rows.iter().map(Row::cells)).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| all.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (index, cells) in all.iter().enumerate() {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        if markdown {
            text.extend(["| ", &padded.join(" | "), " |\n"]);
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                text.extend(["| ", &rules.join(" | "), " |\n"]);
            }
        } else {
            text.push_str(padded.join("  ").trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            what: "exec".into(),
            figure: "1.20 ms".into(),
            goal: "≤ 1.4 ms".into(),
            met: Some(true),
            ..Row::default()
        }
    }

    #[test]
    fn columns_line_up() {
        let text = render(&[row()], false);
        let mut lines = text.lines();
        let at = lines.next().unwrap().find("median");
        assert_eq!(lines.next().unwrap().find("1.20 ms"), at);
        assert!(text.trim_end().ends_with("met"));
    }

    #[test]
    fn markdown_has_a_rule_below_its_head() {
        let text = render(&[row()], true);
        let second = text.lines().nth(1).unwrap();
        assert!(second.chars().all(|c| "|- ".contains(c)), "{second}");
        assert_eq!(text.lines().count(), 3);
    }
}

//! What the demo prints, for people: colour on a terminal, plain text elsewhere.

#![expect(clippy::print_stdout, reason = "the demo is there to be read")]

use std::io::IsTerminal as _;

/// The printer.
pub(crate) struct Show {
    colour: bool,
}

impl Show {
    pub(crate) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour }
    }

    pub(crate) fn title(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    pub(crate) fn line(&self, text: &str) {
        println!("  {text}");
    }

    pub(crate) fn progress(&self, text: &str) {
        println!("  {} {text}", self.paint("2", "…"));
    }

    /// One fact about a request: `gateway log  …`.
    pub(crate) fn fact(&self, what: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let what = if number == 0 { what } else { "" };
            println!("    {} {line}", self.paint("2", &format!("{what:<13}")));
        }
    }

    pub(crate) fn command(&self, who: &str, text: &str) {
        println!("  {} {}", self.paint("36", &format!("{who} $")), text);
    }

    pub(crate) fn verdict(&self, good: bool, text: &str) {
        let (colour, mark) = if good { ("32", "✓") } else { ("31", "✗") };
        println!("    {}", self.paint(colour, &format!("{mark} {text}")));
    }

    pub(crate) fn failure(&self, why: &str) {
        println!(
            "\n{}",
            self.paint("1;31", &format!("The demo failed: {why}"))
        );
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

//! Regular expressions as RE2 takes them: Envoy refuses a whole configuration for one that it
//! does not. Rust's engine parses nearly the same language; what only it knows is refused here.

use regex_syntax::ast::{self, Ast, Visitor};

/// Envoy refuses large programs, and a program is never smaller than its text.
const LONGEST: usize = 1024;
/// RE2's bound on a repetition, also where repetitions are nested.
const MOST_REPETITIONS: u64 = 1000;
/// Below the 32,768 instructions of RE2 to which bootstraps set Envoy's bound, measured in Rust's
/// representation, of which a state is no smaller than 16 bytes.
const PROGRAM_BYTES: usize = 512 << 10;

/// Unicode classes that both engines know by these names.
const CLASSES: [&str; 48] = [
    "C",
    "Cc",
    "Cf",
    "Co",
    "L",
    "Ll",
    "Lm",
    "Lo",
    "Lt",
    "Lu",
    "M",
    "Mc",
    "Me",
    "Mn",
    "N",
    "Nd",
    "Nl",
    "No",
    "P",
    "Pc",
    "Pd",
    "Pe",
    "Pf",
    "Pi",
    "Po",
    "Ps",
    "S",
    "Sc",
    "Sk",
    "Sm",
    "So",
    "Z",
    "Zl",
    "Zp",
    "Zs",
    "Arabic",
    "Armenian",
    "Bengali",
    "Cyrillic",
    "Devanagari",
    "Georgian",
    "Greek",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Katakana",
    "Latin",
];

/// What is wrong with `expression`, if anything.
pub(super) fn check(expression: &str) -> Result<(), String> {
    if expression.is_empty() {
        return Err("an empty regular expression is not allowed".to_owned());
    }
    if expression.len() > LONGEST {
        return Err(format!(
            "the regular expression is longer than {LONGEST} characters"
        ));
    }
    let invalid = |reason: &str| format!("invalid regular expression: {reason}");
    let tree = ast::parse::Parser::new()
        .parse(expression)
        .map_err(|error| invalid(&error.kind().to_string()))?;
    ast::visit(&tree, Foreign::default()).map_err(|what| invalid(&what))?;
    // In RE2 these are text, where Rust's engine counts.
    if expression.contains("{,") {
        return Err(invalid("`{,` has no lower bound"));
    }
    match regex::RegexBuilder::new(expression)
        .size_limit(PROGRAM_BYTES)
        .build()
    {
        Ok(_) => Ok(()),
        Err(regex::Error::Syntax(message)) => {
            // The engine draws the expression over several lines; the last one is the reason.
            let reason = message.lines().last().unwrap_or_default();
            Err(invalid(reason.trim_start_matches("error: ")))
        }
        Err(_) => Err("the regular expression is too large".to_owned()),
    }
}

/// What is wrong with the replacement of what `expression` finds: RE2 knows `\0` to `\9` for
/// groups, and `\\`.
pub(super) fn check_replacement(expression: &str, replacement: &str) -> Result<(), String> {
    let groups = regex::Regex::new(expression).map_or(0, |regex| regex.captures_len() - 1);
    let mut rest = replacement.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            continue;
        }
        match rest.next() {
            Some('\\') => {}
            Some(digit @ '0'..='9') => {
                let group = digit as usize - '0' as usize;
                if group > groups {
                    return Err(format!(
                        "the replacement has `\\{group}`, the expression has {groups} groups"
                    ));
                }
            }
            _ => return Err("in a replacement, `\\` needs a digit or `\\` after it".to_owned()),
        }
    }
    Ok(())
}

/// Looks for what RE2 does not know, or reads differently.
#[derive(Default)]
struct Foreign {
    /// Counts of the repetitions around the present place, multiplied.
    repetitions: Vec<u64>,
}

impl Foreign {
    fn outer(&self) -> u64 {
        self.repetitions.last().copied().unwrap_or(1)
    }
}

impl Visitor for Foreign {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
            Ast::ClassPerl(_) => Ok(()),
            Ast::ClassBracketed(class) => match class.kind {
                ast::ClassSet::Item(_) => Ok(()),
                ast::ClassSet::BinaryOp(_) => Err("classes cannot be combined".to_owned()),
            },
            Ast::Flags(set) => flags(&set.flags),
            Ast::Literal(literal) => self::literal(literal),
            Ast::ClassUnicode(class) => unicode(class),
            Ast::Assertion(assertion) => self::assertion(assertion),
            Ast::Group(group) => self::group(group),
            Ast::Repetition(repetition) => {
                if matches!(*repetition.ast, Ast::Repetition(_)) {
                    return Err("a repetition cannot be repeated without a group".to_owned());
                }
                let most = match &repetition.op.kind {
                    ast::RepetitionKind::Range(range) => match range {
                        ast::RepetitionRange::Exactly(n) | ast::RepetitionRange::AtLeast(n) => *n,
                        ast::RepetitionRange::Bounded(_, n) => *n,
                    },
                    ast::RepetitionKind::ZeroOrOne
                    | ast::RepetitionKind::ZeroOrMore
                    | ast::RepetitionKind::OneOrMore => 1,
                };
                let product = self.outer().saturating_mul(u64::from(most).max(1));
                self.repetitions.push(product);
                if product > MOST_REPETITIONS {
                    return Err(format!("more than {MOST_REPETITIONS} repetitions"));
                }
                Ok(())
            }
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), String> {
        if matches!(ast, Ast::Repetition(_)) {
            self.repetitions.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), String> {
        match item {
            ast::ClassSetItem::Literal(literal) => self::literal(literal),
            ast::ClassSetItem::Range(range) => {
                self::literal(&range.start)?;
                self::literal(&range.end)
            }
            ast::ClassSetItem::Unicode(class) => unicode(class),
            ast::ClassSetItem::Bracketed(_) => Err("a class within a class".to_owned()),
            ast::ClassSetItem::Empty(_)
            | ast::ClassSetItem::Ascii(_)
            | ast::ClassSetItem::Perl(_)
            | ast::ClassSetItem::Union(_) => Ok(()),
        }
    }
}

fn flags(flags: &ast::Flags) -> Result<(), String> {
    for item in &flags.items {
        match item.kind {
            ast::FlagsItemKind::Negation
            | ast::FlagsItemKind::Flag(
                ast::Flag::CaseInsensitive
                | ast::Flag::MultiLine
                | ast::Flag::DotMatchesNewLine
                | ast::Flag::SwapGreed,
            ) => {}
            ast::FlagsItemKind::Flag(_) => {
                return Err("only flags i, m, s and U are known".to_owned());
            }
        }
    }
    Ok(())
}

fn literal(literal: &ast::Literal) -> Result<(), String> {
    let is_known = match &literal.kind {
        ast::LiteralKind::Verbatim | ast::LiteralKind::Special(_) => true,
        ast::LiteralKind::Meta | ast::LiteralKind::Superfluous => literal.c != '_',
        ast::LiteralKind::HexFixed(kind) | ast::LiteralKind::HexBrace(kind) => {
            // Envoy matches bytes, so an escape means one.
            matches!(kind, ast::HexLiteralKind::X) && literal.c <= '\u{ff}'
        }
        ast::LiteralKind::Octal => false,
    };
    if is_known {
        Ok(())
    } else {
        Err(format!(
            "escape of `{}` is unknown",
            literal.c.escape_default()
        ))
    }
}

fn unicode(class: &ast::ClassUnicode) -> Result<(), String> {
    let is_known = match &class.kind {
        ast::ClassUnicodeKind::OneLetter(name) => CLASSES.contains(&name.to_string().as_str()),
        ast::ClassUnicodeKind::Named(name) => CLASSES.contains(&name.as_str()),
        ast::ClassUnicodeKind::NamedValue { .. } => false,
    };
    if is_known {
        Ok(())
    } else {
        Err("this class of Unicode is unknown".to_owned())
    }
}

fn assertion(assertion: &ast::Assertion) -> Result<(), String> {
    match assertion.kind {
        ast::AssertionKind::StartLine
        | ast::AssertionKind::EndLine
        | ast::AssertionKind::StartText
        | ast::AssertionKind::EndText
        | ast::AssertionKind::WordBoundary
        | ast::AssertionKind::NotWordBoundary => Ok(()),
        _ => Err("this word boundary is unknown".to_owned()),
    }
}

fn group(group: &ast::Group) -> Result<(), String> {
    match &group.kind {
        ast::GroupKind::CaptureIndex(_) => Ok(()),
        ast::GroupKind::CaptureName { name, .. } => {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.name.chars().all(word) {
                Ok(())
            } else {
                Err(format!("group name `{}` is invalid", name.name))
            }
        }
        ast::GroupKind::NonCapturing(set) => flags(set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_reads_the_same_is_taken() {
        for expression in [
            ".*",
            "/v[0-9]+/.*",
            r"\d+\.\w*",
            "^(?i:foo)$",
            r"a\/b",
            r"\pN",
            r"\p{Greek}[[:alpha:]]\x{41}\t",
            "(?P<name>a)(b)?",
            "[^/]{1,255}",
            "(a{10}){100}",
        ] {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn what_only_rust_knows_is_refused() {
        for expression in [
            "",
            "(",
            "a{2000000}",
            "a{1001}",
            "(a{100}){100}",
            "a**",
            "a{2}{3}",
            "[a&&b]",
            "[a[b]]",
            "[a-z--b]",
            r"(?x)a",
            "(?ix)a",
            r"(a)\1",
            "(?=a)",
            r"\u0041",
            r"\p{Alphabetic}",
            r"\p{greek}",
            r"\_",
            r"\x{1F600}",
            r"\b{start}a",
            "(?P<a.b>c)",
            r"(\pL{100}){10}",
            &"a".repeat(1025),
        ] {
            assert!(check(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_replacement_names_groups_that_are_there() {
        assert_eq!(check_replacement("^/a/(.*)$", r"/b/\1\\"), Ok(()));
        for replacement in [r"\2", r"\", r"\x"] {
            assert!(
                check_replacement("(a)", replacement).is_err(),
                "{replacement}"
            );
        }
    }
}

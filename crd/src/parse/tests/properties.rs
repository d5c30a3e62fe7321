//! No text makes the reader panic, and every finding has a place.

use proptest::prelude::*;

use super::*;

/// Real texts, so that mutations reach deep into the readers.
fn seeds() -> Vec<String> {
    vec![
        include_str!("dump.yaml").to_owned(),
        virtual_service("a"),
        virtual_service("b") + "---\n" + &virtual_service("c"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn mutated_input_never_panics(
        seed in 0..3_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, "[-{}\\[\\]:,#&*!|>'\"%@`~ \n\tañ0<.]{0,6}"), 1..6),
    ) {
        let mut text = seeds()[seed].clone();
        for (at, length, insert) in edits {
            let chars: Vec<char> = text.chars().collect();
            let begin = at.index(chars.len() + 1);
            let end = (begin + length).min(chars.len());
            text = chars[..begin].iter().chain(&insert.chars().collect::<Vec<_>>()).chain(&chars[end..]).collect();
        }
        let parsed = parse("f.yaml", &text, "default");
        for diagnostic in &parsed.diagnostics {
            let location = diagnostic.location.as_ref().expect("every finding has a place");
            prop_assert!(location.line as usize <= text.lines().count().max(1) + 1);
        }
        for object in &parsed.objects {
            let _ = object.source().map(|source| source.locate("spec.http[0].route"));
        }
        let _ = mesh_config("mesh.yaml", &text);
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        let _ = parse("f.yaml", &text, "default");
    }
}

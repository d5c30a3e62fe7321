//! Large and hostile texts take bounded time.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn an_alias_bomb_is_refused_in_bounded_time() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
    }
    let started = Instant::now();
    let parsed = parse("bomb.yaml", &text, "default");
    assert!(parsed.has_errors());
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn ten_thousand_documents_are_read_in_bounded_time() {
    let text: String = (0..10_000)
        .map(|n| format!("---\n{}", virtual_service(&format!("a{n}"))))
        .collect();
    let started = Instant::now();
    let parsed = parse("many.yaml", &text, "default");
    assert_eq!(parsed.objects.len(), 10_000);
    assert_eq!(parsed.diagnostics, []);
    // A debug build needs about 3 s; a quadratic one would need minutes.
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_list_of_ten_thousand_items_is_read_and_located_in_bounded_time() {
    let item = format!(
        "- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: {{name: a}}\n  \
         spec: {{hosts: [a.example], {ROUTE}}}\n"
    );
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n{}",
        item.repeat(10_000)
    );
    let started = Instant::now();
    let parsed = parse("many.yaml", &text, "default");
    assert_eq!(parsed.objects.len(), 10_000);
    for (index, object) in parsed.objects.iter().enumerate() {
        let line = object.source().unwrap().locate("spec.hosts").line;
        assert_eq!(line as usize, 7 + index * 4);
    }
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

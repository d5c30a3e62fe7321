//! What people are told: diagnostics once when they appear, and the objects behind a rejection.

use std::{collections::BTreeSet, sync::Arc};

use sluice_crd::diagnostic::{Diagnostic, Severity};
use sluice_plan::{listener::Filter, proxy::ProxyPlan};
use tracing::{error, info, warn};

/// More news than this at once are counted, not listed.
const MAX_LINES: usize = 20;

/// More objects than this do not help to find the one that is wrong.
const MAX_OBJECTS: usize = 10;

/// What was told already and still holds.
#[derive(Default)]
pub(super) struct Reported(BTreeSet<Diagnostic>);

/// A line to write.
pub(super) enum News {
    /// Something is wrong.
    Appeared(Diagnostic),
    /// So many more are.
    More(usize),
    /// So many things that were wrong are no more.
    Resolved(usize),
}

impl Reported {
    /// What changed since the last time.
    pub(super) fn news(&mut self, now: Vec<Diagnostic>) -> Vec<News> {
        let is_told = |d: &Diagnostic| d.severity != Severity::Info;
        let now: BTreeSet<Diagnostic> = now.into_iter().filter(is_told).collect();
        let resolved = self.0.difference(&now).count();
        let appeared: Vec<Diagnostic> = now.difference(&self.0).cloned().collect();
        self.0 = now;

        let more = appeared.len().saturating_sub(MAX_LINES);
        let mut news: Vec<News> = appeared
            .into_iter()
            .take(MAX_LINES)
            .map(News::Appeared)
            .collect();
        news.extend((more > 0).then_some(News::More(more)));
        news.extend((resolved > 0).then_some(News::Resolved(resolved)));
        news
    }
}

/// Writes a line.
pub(super) fn log(news: &News) {
    match news {
        News::Appeared(diagnostic) => match diagnostic.severity {
            Severity::Error => error!(%diagnostic, "configuration error"),
            Severity::Warning => warn!(%diagnostic, "configuration warning"),
            Severity::Info => info!(%diagnostic, "configuration note"),
        },
        News::More(count) => warn!(count, "more configuration errors and warnings"),
        News::Resolved(count) => info!(count, "configuration errors and warnings resolved"),
    }
}

/// The objects that made the resources called `names`.
pub(super) fn objects_behind(plan: &ProxyPlan, names: &[Arc<str>]) -> Vec<String> {
    let mut objects: BTreeSet<&str> = BTreeSet::new();
    for name in names {
        let name: &str = name;
        let origins = plan.origins.get(name).into_iter().flatten();
        objects.extend(origins.map(String::as_str));
        let listener = plan.listeners.get(name);
        let chains = listener.iter().flat_map(|listener| &listener.chains);
        let last = listener.iter().filter_map(|l| l.otherwise.as_ref());
        let filters = chains.map(|chain| &chain.filter).chain(last);
        objects.extend(filters.filter_map(rule));
        let hosts = plan
            .routes
            .get(name)
            .into_iter()
            .flat_map(|t| &t.virtual_hosts);
        let routes = hosts.flat_map(|host| &host.routes);
        objects.extend(routes.map(|route| route.rule.as_str()));
    }
    objects
        .into_iter()
        .take(MAX_OBJECTS)
        .map(str::to_owned)
        .collect()
}

fn rule(filter: &Filter) -> Option<&str> {
    match filter {
        Filter::Tcp(tcp) => Some(&tcp.rule),
        Filter::Deny(deny) => Some(&deny.rule),
        Filter::Http(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(severity: Severity, message: &str) -> Diagnostic {
        Diagnostic {
            object: None,
            field: String::new(),
            severity,
            code: "SLU9999".into(),
            message: message.to_owned(),
            location: None,
        }
    }

    #[test]
    fn a_finding_is_told_once() {
        let mut reported = Reported::default();
        let finding = || vec![diagnostic(Severity::Error, "a")];

        assert!(matches!(&*reported.news(finding()), [News::Appeared(_)]));
        assert!(reported.news(finding()).is_empty());
        assert!(matches!(&*reported.news(vec![]), [News::Resolved(1)]));
        assert!(reported.news(vec![]).is_empty());
    }

    #[test]
    fn notes_are_for_analyze_and_not_for_the_log() {
        let note = diagnostic(Severity::Info, "a");

        assert!(Reported::default().news(vec![note]).is_empty());
    }

    #[test]
    fn a_flood_is_counted_not_listed() {
        let many = (0..1000).map(|n| diagnostic(Severity::Error, &n.to_string()));

        let news = Reported::default().news(many.collect());

        assert_eq!(news.len(), MAX_LINES + 1);
        assert!(matches!(news.last(), Some(News::More(980))));
    }
}

//! `ROOTCA`: the mounted roots together with those that came with the certificate.
//!
//! While a mesh changes its root, some proxies hold certificates of the old one, some of the new.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{fs, sync::watch, time::timeout};
use tracing::warn;

use super::Present;
use crate::secrets::{ROOT_CA, Secret, Store, certificates};

/// Keeps `ROOTCA` of `store` fresh, for ever.
pub(crate) async fn follow(
    root_cert: PathBuf,
    store: Arc<Store>,
    mut present: watch::Receiver<Option<Present>>,
) {
    let mut last_trouble = None;
    loop {
        let issued = present
            .borrow_and_update()
            .as_ref()
            .map(|present| present.roots_pem.clone());
        let trouble = match fs::read_to_string(&root_cert).await {
            Ok(mounted) => match merged(mounted, issued.as_deref()) {
                Some(roots) => {
                    store.set(ROOT_CA, Secret::Roots(roots));
                    None
                }
                None => Some("no valid PEM certificate".to_owned()),
            },
            Err(error) => Some(error.to_string()),
        };
        if trouble != last_trouble {
            if let Some(error) = &trouble {
                warn!(error, file = %root_cert.display(), "cannot read the root certificates, keeping the last ones");
            }
            last_trouble = trouble;
        }
        // Ends early when a certificate comes. When the sender is gone, so is the process.
        if let Ok(Err(_)) = timeout(POLL, present.changed()).await {
            return;
        }
    }
}

/// `None` when `mounted` is not PEM.
fn merged(mut mounted: String, issued: Option<&str>) -> Option<String> {
    let known = certificates(&mounted)?;
    let news = issued.and_then(|issued| Some((issued, certificates(issued)?)));
    if let Some((issued, _)) =
        news.filter(|(_, roots)| roots.iter().any(|root| !known.contains(root)))
    {
        if !mounted.ends_with('\n') {
            mounted.push('\n');
        }
        mounted.push_str(issued);
    }
    Some(mounted)
}

const POLL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> String {
        rcgen::generate_simple_self_signed(["root.example".to_owned()])
            .unwrap()
            .cert
            .pem()
    }

    #[test]
    fn issued_roots_are_added_once() {
        let (old, new) = (root(), root());
        assert_eq!(merged(old.clone(), None), Some(old.clone()));
        assert_eq!(merged(old.clone(), Some(&old)), Some(old.clone()));
        let both = merged(old.trim_end().to_owned(), Some(&new)).unwrap();
        assert_eq!(certificates(&both).unwrap().len(), 2);
        assert_eq!(merged(both.clone(), Some(&new)), Some(both));
        assert_eq!(merged("x".to_owned(), Some(&new)), None);
    }
}

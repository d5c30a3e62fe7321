//! Follows the files behind `file-cert:` and `file-root:` names, from when Envoy asks for them.
//!
//! A file that is not there has no answer, and is served when it appears. One that breaks or
//! goes keeps its last good content. Each trouble is logged once, not every second.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};
use tracing::{info, warn};

use super::{DEFAULT, ROOT_CA, Secret, Store, name::FileName, pem};

/// Serves files into `store`, for ever.
pub(crate) async fn follow(store: Arc<Store>, roots: Arc<[PathBuf]>) {
    let mut troubles = BTreeMap::new();
    loop {
        // A new name is looked at immediately.
        let _ = timeout(POLL, store.asked.notified()).await;
        let wanted = store.wanted();
        let roots = roots.clone();
        let Ok(found) = spawn_blocking(move || look(&wanted, &roots)).await else {
            return;
        };
        for (name, outcome) in found {
            tell(&mut troubles, &name, outcome.as_ref().err());
            if let Ok(secret) = outcome {
                store.set(&name, secret);
            }
        }
    }
}

/// What stands in the files now; troubles as text, to be compared with those of before.
fn look(wanted: &[Arc<str>], roots: &[PathBuf]) -> Vec<(Arc<str>, Result<Secret, String>)> {
    let others = wanted
        .iter()
        .filter(|name| !matches!(&***name, DEFAULT | ROOT_CA));
    let read = |name: &Arc<str>| {
        let file = FileName::parse(name).map_err(|error| error.to_string())?;
        pem::read(&file, roots).map_err(|error| error.to_string())
    };
    others.map(|name| (name.clone(), read(name))).collect()
}

fn tell(troubles: &mut BTreeMap<Arc<str>, String>, name: &Arc<str>, trouble: Option<&String>) {
    match trouble {
        Some(trouble) => {
            if troubles.insert(name.clone(), trouble.clone()).as_ref() != Some(trouble) {
                warn!(secret = %name, error = %trouble, "cannot serve this secret, waiting for its files");
            }
        }
        None => {
            if troubles.remove(name).is_some() {
                info!(secret = %name, "the secret's files are in order now");
            }
        }
    }
}

const POLL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use sluice_ads::{Snapshots as _, TypeUrl};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn file_that_appears_is_served_and_one_that_goes_keeps_its_last_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let name = format!("file-root:{}", path.display());
        let store = Arc::new(Store::new());
        let _task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(follow(
            store.clone(),
            Arc::default(),
        )));
        let until = async |expected: Option<Secret>| {
            for _ in 0..50 {
                if store.get(&name) == expected {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
            panic!("expected {expected:?}, found {:?}", store.get(&name));
        };
        let certificate = || {
            rcgen::generate_simple_self_signed(["x.example".to_owned()])
                .unwrap()
                .cert
                .pem()
        };

        store.subscribed("node", TypeUrl::Secret, std::slice::from_ref(&name));
        tokio::time::sleep(3 * POLL).await;
        assert_eq!(store.get(&name), None);

        let first = certificate();
        fs::write(&path, &first).unwrap();
        until(Some(Secret::Roots(first))).await;

        let second = certificate();
        fs::write(&path, &second).unwrap();
        until(Some(Secret::Roots(second.clone()))).await;

        fs::remove_file(&path).unwrap();
        tokio::time::sleep(3 * POLL).await;
        assert_eq!(store.get(&name), Some(Secret::Roots(second)));
    }
}

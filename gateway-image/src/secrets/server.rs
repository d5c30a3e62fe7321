//! The Unix socket on which Envoy asks for secrets.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sluice_ads::{Observer, Peer, SdsServer, StreamInfo, TypeUrl};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tracing::warn;

use super::Store;

/// Why secrets cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The run directory does not allow it.
    #[error("secret socket {}: {source}", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server ended.
    #[error("secret socket: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// Opens the socket for our own user alone.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    // Made under another name: under its own it never exists with a wider mode.
    let unready = path.with_extension("new");
    let bound = || {
        match fs::remove_file(&unready) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&unready)?;
        fs::set_permissions(&unready, Permissions::from_mode(0o600))?;
        fs::rename(&unready, path)?;
        Ok(listener)
    };
    bound().map_err(|source| SocketError::Bind {
        path: path.to_owned(),
        source,
    })
}

/// Serves `store`, for ever.
pub(crate) async fn serve(listener: UnixListener, store: Arc<Store>) -> Result<(), SocketError> {
    let service = SdsServer::new(store, Arc::new(Log)).into_service();
    Server::builder()
        // One stream per secret, and no stranger on this socket.
        .max_concurrent_streams(10_000)
        .add_service(service)
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await?;
    Ok(())
}

/// Tells what Envoy does not like. It names the secret, and never what is in it.
struct Log;

impl Observer for Log {
    fn nacked(&self, _: &StreamInfo, _: TypeUrl, _: u64, names: &[Arc<str>], message: &str) {
        warn!(secrets = ?names, error = message, "envoy rejects a secret and keeps the last one");
    }

    fn refused(&self, _: &Peer, status: &tonic::Status) {
        warn!(error = status.message(), "refused a stream for secrets");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn socket_is_for_our_user_alone_and_replaces_a_stale_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sds.sock");
        drop(bind(&path).unwrap());
        let _listener = bind(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

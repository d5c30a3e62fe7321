//! Questions to Envoy's admin interface over its Unix socket.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

/// Envoy's admin interface.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// Not there (yet).
    #[error("envoy's admin socket does not answer: {0}")]
    Connect(#[from] io::Error),
    /// Not HTTP, or cut off.
    #[error("envoy's admin socket answers wrongly: {0}")]
    Http(#[from] hyper::Error),
    /// Too large, or cut off.
    #[error("envoy's admin socket answers wrongly: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Took longer than [`PATIENCE`].
    #[error("envoy's admin socket did not answer within {PATIENCE:?}")]
    Timeout,
}

impl Admin {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The answer to a question.
    pub(crate) async fn get(&self, path: &str) -> Result<(StatusCode, String), AdminError> {
        self.bounded(Method::GET, path).await
    }

    /// The answer to an order.
    pub(crate) async fn post(&self, path: &str) -> Result<(StatusCode, String), AdminError> {
        self.bounded(Method::POST, path).await
    }

    /// The statistics whose names match the regular expression `filter`, in Envoy's order.
    pub(crate) async fn stats(&self, filter: &str) -> Result<Vec<(String, u64)>, AdminError> {
        let (_, text) = self.get(&format!("/stats?filter={filter}")).await?;
        Ok(parse_stats(&text))
    }

    async fn bounded(
        &self,
        method: Method,
        path: &str,
    ) -> Result<(StatusCode, String), AdminError> {
        timeout(PATIENCE, self.call(method, path))
            .await
            .unwrap_or(Err(AdminError::Timeout))
    }

    async fn call(&self, method: Method, path: &str) -> Result<(StatusCode, String), AdminError> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "envoy")
            .body(Empty::<Bytes>::new())
            .expect("paths of the admin interface are written in this crate");
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES)
                .collect()
                .await
                .map_err(AdminError::Body)?;
            Ok((
                head.status,
                String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            ))
        };
        // The connection is driven here and not in a task, so it ends with the call.
        tokio::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            answer = &mut exchange => answer,
            driven = &mut connection => {
                driven?;
                exchange.await
            }
        }
    }
}

fn parse_stats(text: &str) -> Vec<(String, u64)> {
    let parse = |line: &str| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

/// Envoy's main thread answers; applying 10,000 clusters keeps it busy for seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Two statistics of 100,000 names each have room.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_parsed_and_histograms_left_out() {
        let text = "listener_manager.lds.update_success: 2\ncluster.outbound|443||a: b: 7\nlatency: P0(1,2)\n\nx";
        assert_eq!(
            parse_stats(text),
            [
                ("listener_manager.lds.update_success".to_owned(), 2),
                ("cluster.outbound|443||a: b".to_owned(), 7)
            ]
        );
    }
}

//! The admin port: health, metrics, and what a proxy gets. Plain HTTP for the local machine and
//! the cluster's monitoring; it changes nothing and shows no keys.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, publish::Publisher};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `listener` until `stop`.
pub async fn serve(
    listener: TcpListener,
    publisher: Arc<Publisher>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(publisher, metrics))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

fn router(publisher: Arc<Publisher>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/debug/config_dump", get(config_dump))
        .with_state(publisher)
        .merge(
            Router::new()
                .route("/metrics", get(all_metrics))
                .with_state(metrics),
        )
}

async fn ready(State(publisher): State<Arc<Publisher>>) -> Response {
    match publisher.is_ready() {
        true => "ok\n".into_response(),
        false => {
            let message = "the configuration is not read yet\n";
            (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
        }
    }
}

async fn all_metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.encode()).into_response()
}

#[derive(Deserialize)]
struct ConfigDump {
    proxy: Option<String>,
}

async fn config_dump(
    State(publisher): State<Arc<Publisher>>,
    Query(query): Query<ConfigDump>,
) -> Response {
    let Some(proxy) = query.proxy else {
        return Json(json!({ "proxies": publisher.connected() })).into_response();
    };
    let Some((namespace, pod)) = proxy.split_once('/') else {
        let message = "say which one: /debug/config_dump?proxy=NAMESPACE/POD\n";
        return (StatusCode::BAD_REQUEST, message).into_response();
    };
    let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
    // Resolving and printing a large world takes a while.
    match spawn_blocking(move || publisher.config_dump(&namespace, &pod)).await {
        Ok(Some(Ok(dump))) => Json(dump).into_response(),
        Ok(Some(Err(error))) => {
            let message = format!("{error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }
        Ok(None) => {
            let message = format!("pod {proxy} is not known\n");
            (StatusCode::NOT_FOUND, message).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

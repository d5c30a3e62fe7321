//! Sources, publishing, CA, admin: the effects around the pure pipeline.
//!
//! [`serve::serve`] is the whole control plane. A source ([`watch`]) tells what changed, the
//! [`publish::Publisher`] turns it into what each connected proxy shall hold, the xDS server
//! brings it there ([`streams`] hears how that goes), and the [`ca`] says who is who.
//!
//! ```no_run
//! use sluice_runtime::{serve::{Config, ServeError, serve}, watch::files::Options};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example() -> Result<(), ServeError> {
//! let config = Config {
//!     files: Options { roots: vec!["config".into()], ..Options::default() },
//!     token_file: "tokens".into(),
//!     state_dir: "state".into(),
//!     cacerts: None,
//!     listen: ([0, 0, 0, 0], 15012).into(),
//!     admin: ([127, 0, 0, 1], 15014).into(),
//!     dns_names: vec!["sluice.sluice-system.svc".to_owned()],
//! };
//! serve(config, CancellationToken::new()).await
//! # }
//! ```

pub mod serve;

pub mod node;
pub mod publish;
pub mod watch;

pub mod streams;

pub mod admin;
pub mod metrics;
pub mod supervisor;

pub mod ca;
pub mod tls;
pub mod tokens;

mod workloads;

//! `GET /_matrix/client/versions`
//!
//! **Source**: Matrix v1.19, client-server API, "API versions".

use axum::Json;
use serde_json::{Value, json};

/// Every version whose endpoints this server answers as far as it has them; clients ask for what they
/// need by `M_UNRECOGNIZED`.
const VERSIONS: [&str; 16] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12",
    "v1.13", "v1.14", "v1.15", "v1.16",
];

/// Which versions of the API are spoken.
pub(crate) async fn get() -> Json<Value> {
    Json(json!({ "versions": VERSIONS, "unstable_features": {} }))
}

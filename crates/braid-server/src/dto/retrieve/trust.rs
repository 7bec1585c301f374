//! How far each leg was trusted, on the wire.

use std::collections::BTreeMap;

use braid_engine::query::{LegWeights, Trust};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far each leg was trusted for one query.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct TrustBody {
    /// What decided.
    pub rule: String,
    /// What it looked at, by name.
    pub features: BTreeMap<String, f64>,
    /// What the model makes of them: the log-odds of the lexical leg are `constant` and each feature times
    /// its own. Nothing where it was not asked.
    pub coefficients: BTreeMap<String, f64>,
    /// The weights that the request or the configuration asked for.
    pub before: LegWeightsBody,
    /// The weights that the legs were fused with.
    pub after: LegWeightsBody,
}

/// The weights of both legs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct LegWeightsBody {
    /// That of the lexical leg.
    pub lexical: f64,
    /// That of the dense leg.
    pub dense: f64,
}

impl From<Trust> for TrustBody {
    fn from(trust: Trust) -> Self {
        Self {
            rule: trust.rule.to_owned(),
            features: named(trust.features),
            coefficients: named(trust.coefficients),
            before: weights(trust.before),
            after: weights(trust.after),
        }
    }
}

fn named(values: Vec<(&'static str, f64)>) -> BTreeMap<String, f64> {
    let values = values.into_iter();
    values
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn weights(weights: LegWeights) -> LegWeightsBody {
    LegWeightsBody {
        lexical: weights.lexical,
        dense: weights.dense,
    }
}

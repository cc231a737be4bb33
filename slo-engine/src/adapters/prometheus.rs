//! Long ranges from the range API, in as few and as large pieces as the server can bear.

use std::collections::BTreeMap;

use daemon_kit::prom::{Client, Error, Labels};
use slo_engine_core::backfill::Grid;

/// Prometheus refuses more than 11,000 steps in one request.
const MAX_STEPS: usize = 11_000;

/// A query's values over a grid, by series; NaN where a series has none.
pub type Columns = BTreeMap<Labels, Vec<f64>>;

/// Why a range could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The server's answer.
    #[error(transparent)]
    Server(#[from] Error),
    /// More than fits into memory.
    #[error(
        "the query has more than {limit} values ({series} series and more): choose a later --from, or a query with fewer groups"
    )]
    TooMany {
        /// Series so far.
        series: usize,
        /// Limit of values.
        limit: usize,
    },
}

/// Reads ranges.
#[derive(Clone, Debug)]
pub struct RangeReader {
    client: Client,
    max_values: usize,
}

impl RangeReader {
    /// With a limit on the values of one query (eight bytes each).
    #[must_use]
    pub fn new(client: Client, max_values: usize) -> Self {
        Self { client, max_values }
    }

    /// Evaluates the query at every moment of the grid. `progress` is told how many moments are done, after each request.
    ///
    /// A request that is too much for the server (time, samples in memory, size of the answer) is halved.
    ///
    /// # Errors
    /// The server's, or [`ReadError::TooMany`].
    pub async fn read(
        &self,
        query: &str,
        grid: Grid,
        warnings: &mut Vec<String>,
        mut progress: impl FnMut(usize),
    ) -> Result<Columns, ReadError> {
        let mut columns = Columns::new();
        let (mut done, mut size) = (0, MAX_STEPS);
        while done < grid.len {
            let steps = size.min(grid.len - done);
            let (start, end) = (grid.at(done), grid.at(done + steps - 1));
            let answer = match self.client.range(query, start, end, grid.step_ms).await {
                Ok(answer) => answer,
                Err(error) if steps > 1 && is_too_much(&error) => {
                    size = steps.div_ceil(2);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for warning in answer.warnings {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            for series in answer.value {
                let limit = self.max_values;
                if !columns.contains_key(&series.labels) && (columns.len() + 1) * grid.len > limit {
                    return Err(ReadError::TooMany { series: columns.len(), limit });
                }
                let column = columns.entry(series.labels).or_insert_with(|| vec![f64::NAN; grid.len]);
                for sample in series.samples {
                    if let Some(slot) = grid.index(sample.at_ms).and_then(|index| column.get_mut(index)) {
                        *slot = sample.value;
                    }
                }
            }
            done += steps;
            progress(done);
        }
        Ok(columns)
    }
}

fn is_too_much(error: &Error) -> bool {
    match error {
        Error::Timeout { .. } | Error::TooLarge { .. } => true,
        Error::Api { kind, message, .. } => match kind.as_str() {
            "timeout" | "canceled" => true,
            // The query engine's own limits, and those of Mimir and Thanos ("limit", "max_..").
            _ => ["too many samples", "limit", "exceed", "maximum"].iter().any(|word| message.contains(word)),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use daemon_kit::prom::Options;
    use testbed::http::{Call, HttpServer, Reply};

    use super::*;

    /// A server whose query is the number of seconds since 1970, for at most `most` steps at a time.
    async fn server(most: i64) -> HttpServer {
        HttpServer::start(move |call: &Call| {
            let form = String::from_utf8_lossy(&call.body).into_owned();
            let millis = |key: &str| -> i64 {
                let value = form.split('&').find_map(|pair| pair.strip_prefix(key)).unwrap();
                (value.parse::<f64>().unwrap() * 1_000.0).round() as i64
            };
            let (start, end, step) = (millis("start="), millis("end="), millis("step="));
            if (end - start) / step + 1 > most {
                return Reply::metrics(
                    r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory"}"#.to_owned(),
                );
            }
            let values: Vec<String> = (start..=end)
                .step_by(usize::try_from(step).unwrap())
                .map(|at| format!("[{at}e-3,\"{}\"]", at / 1_000))
                .collect();
            Reply::metrics(format!(
                r#"{{"status":"success","warnings":["partial"],"data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
                values.join(",")
            ))
        })
        .await
        .unwrap()
    }

    async fn read(most: i64, len: usize, max_values: usize) -> (Result<Columns, ReadError>, Vec<usize>) {
        let server = server(most).await;
        let client = Client::new(Options::new(format!("http://{}", server.address()))).unwrap();
        let grid = Grid { start_ms: 1_000, step_ms: 1_000, len };
        let (mut warnings, mut steps) = (Vec::new(), Vec::new());
        let reader = RangeReader::new(client, max_values);
        let columns = reader.read("time()", grid, &mut warnings, |done| steps.push(done)).await;
        assert!(warnings.len() <= 1, "{warnings:?}");
        (columns, steps)
    }

    #[tokio::test]
    async fn long_ranges_are_read_in_pieces_without_a_seam() {
        for (most, pieces) in
            [(11_000, vec![11_000, 22_000, 25_000]), (6_000, vec![5_500, 11_000, 16_500, 22_000, 25_000])]
        {
            let (columns, steps) = read(most, 25_000, 1_000_000).await;
            let columns = columns.unwrap();
            let column = columns.values().next().unwrap();
            assert!(column.iter().enumerate().all(|(index, value)| *value == index as f64 + 1.0));
            assert_eq!((steps, column.len(), columns.len()), (pieces, 25_000, 1));
        }
    }

    #[tokio::test]
    async fn limits_end_in_an_error_and_not_in_a_loop() {
        let (columns, steps) = read(0, 100, 1_000).await;
        assert!(matches!(columns, Err(ReadError::Server(Error::Api { .. }))), "{columns:?}");
        assert!(steps.is_empty());
        let (columns, _) = read(11_000, 100, 99).await;
        assert!(columns.unwrap_err().to_string().contains("more than 99 values"));
    }
}

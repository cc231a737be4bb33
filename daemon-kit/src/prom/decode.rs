//! JSON of the API to values, in one pass and without a tree in between: range answers are large.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::answer::{Labels, Sample, Series};

/// The frame around every answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<T> {
    pub(super) status: Status,
    pub(super) data: Option<T>,
    #[serde(default)]
    pub(super) error_type: String,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) warnings: Option<Vec<String>>,
    #[serde(default)]
    pub(super) infos: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Success,
    Error,
}

/// `data` of a query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryData {
    result_type: ResultType,
    result: Vec<Item>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Vector,
    Matrix,
    Scalar,
    String,
}

/// An element of `result`: a series, or one half of the pair that a scalar is.
enum Item {
    Series(Series),
    Number(f64),
    Text(String),
}

/// Reads the frame of a query's answer and hands over each series as soon as it is read, so that a large answer never is
/// in memory as a whole beside its text. Other answers than vectors and matrices are refused.
pub(super) fn each_series(
    body: &[u8],
    each: &mut dyn FnMut(Series),
) -> Result<Envelope<()>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let envelope = Frame(each).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(envelope)
}

struct Frame<'f>(&'f mut dyn FnMut(Series));

impl<'de> DeserializeSeed<'de> for Frame<'_> {
    type Value = Envelope<()>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope<()>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Frame<'_> {
    type Value = Envelope<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the frame of an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<()>, A::Error> {
        let (mut status, mut data) = (None, None);
        let (mut error_type, mut error) = (String::new(), String::new());
        let (mut warnings, mut infos) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => status = Some(map.next_value()?),
                "data" => data = map.next_value_seed(Data(&mut *self.0))?,
                "errorType" => error_type = map.next_value()?,
                "error" => error = map.next_value()?,
                "warnings" => warnings = map.next_value()?,
                "infos" => infos = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let status = status.ok_or_else(|| A::Error::missing_field("status"))?;
        Ok(Envelope { status, data, error_type, error, warnings, infos })
    }
}

/// `data` of a query, or nothing.
struct Data<'f>(&'f mut dyn FnMut(Series));

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = Option<()>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<()>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Data<'_> {
    type Value = Option<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a query")
    }

    fn visit_unit<E>(self) -> Result<Option<()>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<()>, A::Error> {
        let (mut of_series, mut result) = (false, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resultType" => {
                    of_series = matches!(map.next_value()?, ResultType::Vector | ResultType::Matrix);
                }
                "result" => {
                    map.next_value_seed(Results(&mut *self.0))?;
                    result = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (of_series, result) {
            (true, true) => Ok(Some(())),
            (true, false) => Err(A::Error::missing_field("result")),
            (false, _) => Err(A::Error::custom("the query gives no series")),
        }
    }
}

struct Results<'f>(&'f mut dyn FnMut(Series));

impl<'de> DeserializeSeed<'de> for Results<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Results<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            match item {
                Item::Series(series) => (self.0)(series),
                Item::Number(_) | Item::Text(_) => return Err(A::Error::custom("a result is no series")),
            }
        }
        Ok(())
    }
}

impl QueryData {
    /// The series of the answer; a scalar is one series without labels.
    pub(super) fn into_series(self) -> Result<Vec<Series>, &'static str> {
        match self.result_type {
            ResultType::Vector | ResultType::Matrix => self
                .result
                .into_iter()
                .map(|item| match item {
                    Item::Series(series) => Ok(series),
                    Item::Number(_) | Item::Text(_) => Err("a result is no series"),
                })
                .collect(),
            ResultType::Scalar => match <[Item; 2]>::try_from(self.result) {
                Ok([Item::Number(at), Item::Text(value)]) => {
                    let value = value.parse().map_err(|_| "the scalar is no number")?;
                    let sample = Sample { at_ms: millis(at), value };
                    Ok(vec![Series { samples: vec![sample], ..Series::default() }])
                }
                _ => Err("a scalar is not a pair of time and value"),
            },
            ResultType::String => Err("the query gives a string, not numbers"),
        }
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series or half of a scalar")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
        Ok(Item::Number(number))
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut series = Series::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metric" => series.labels = map.next_value::<Labels>()?,
                "value" => series.samples = vec![map.next_value::<Pair>()?.0],
                "values" => series.samples = map.next_value::<Pairs>()?.0,
                "histogram" => {
                    map.next_value::<IgnoredAny>()?;
                    series.histograms = 1;
                }
                "histograms" => series.histograms = map.next_value::<Vec<IgnoredAny>>()?.len(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Item::Series(series))
    }
}

/// `[1435781451.781, "1"]`
struct Pair(Sample);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, Value(value)) = <(f64, Value)>::deserialize(deserializer)?;
        Ok(Self(Sample { at_ms: millis(at), value }))
    }
}

struct Pairs(Vec<Sample>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<Pair>::deserialize(deserializer)?;
        Ok(Self(pairs.into_iter().map(|pair| pair.0).collect()))
    }
}

struct Value(f64);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sample value as text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                text.parse().map(Value).map_err(|_| E::custom("a sample value is no number"))
            }
        }
        deserializer.deserialize_str(ValueVisitor)
    }
}

/// Seconds with a fraction to whole milliseconds, the resolution of Prometheus.
#[allow(
    clippy::cast_possible_truncation,
    reason = "saturates, and the server's times are far from the limits"
)]
fn millis(seconds: f64) -> i64 {
    (seconds * 1_000.0).round() as i64
}

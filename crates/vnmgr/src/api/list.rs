//! Lists: pages, and which of the resources they show.
//!
//! Any attribute of the representation that is a text, a number or a truth value filters by its text, and `label` by
//! labels. A name that filters nothing is an error: to ignore it would show more than was asked for.

use serde::Serialize;
use serde_json::Value;
use topology::Error;
use topology::meta::Labels;

use super::error::ApiError;
use super::input::pairs;

/// How many items a page has unless told otherwise, as in the original.
pub const DEFAULT_LIMIT: usize = 30;

/// How many items a page can have. Rendering them takes a tenth of a second.
pub const MAX_LIMIT: usize = 10_000;

/// The parameters of a list.
#[derive(Clone, Debug, PartialEq, Eq, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub struct ListParameters {
    /// How many items to show, at most 10,000; 30 if absent.
    limit: Option<usize>,
    /// How many items to pass over.
    offset: Option<usize>,
    /// Only what has this label: `name=value`, or `name` for any value. May be given several times.
    label: Option<Vec<String>>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// How many items there are in all.
    pub total_count: usize,
    /// How many come before this page.
    pub offset: usize,
    /// How many a page has.
    pub limit: usize,
    /// The items, ordered by their ids.
    pub items: Vec<T>,
}

/// Which items of a list to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    offset: usize,
    limit: usize,
    labels: Vec<(String, Option<String>)>,
    fields: Vec<(String, String)>,
}

impl Listing {
    /// Reads the parameters. `fields` are the names that filter.
    ///
    /// # Errors
    /// A parameter is none, or its value cannot be read.
    pub fn parse(query: &str, fields: &[&str]) -> Result<Self, ApiError> {
        let mut listing = Self { offset: 0, limit: DEFAULT_LIMIT, labels: Vec::new(), fields: Vec::new() };
        for (name, value) in pairs(query.as_bytes()) {
            match name.as_str() {
                "offset" => listing.offset = number("offset", &value, usize::MAX)?,
                "limit" => listing.limit = number("limit", &value, MAX_LIMIT)?,
                "label" => {
                    let label = value.split_once('=');
                    let label = label.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
                    listing.labels.push(label.unwrap_or((value, None)));
                }
                known if fields.contains(&known) => listing.fields.push((name, value)),
                unknown => {
                    let reason = format!("no such filter; there are label, {}", fields.join(", "));
                    return Err(Error::argument(unknown, reason).into());
                }
            }
        }
        Ok(listing)
    }

    /// Makes the page out of all `items`. Only items on the page are shown, unless they are filtered by what is shown; those
    /// behind the page are not looked at, unless some are left out.
    pub fn page<T, V: Serialize>(
        &self,
        items: impl ExactSizeIterator<Item = T>,
        labels: impl Fn(&T) -> Option<&Labels>,
        show: impl Fn(T) -> V,
    ) -> Page<V> {
        let page = |total_count, items| Page { total_count, offset: self.offset, limit: self.limit, items };
        if self.labels.is_empty() && self.fields.is_empty() {
            return page(items.len(), items.skip(self.offset).take(self.limit).map(show).collect());
        }
        let wanted = items.filter(|item| self.has_labels(labels(item)));
        let mut on_page = Vec::new();
        let mut total = 0_usize;
        for item in wanted {
            let place = total.checked_sub(self.offset).is_some_and(|place| place < self.limit);
            if self.fields.is_empty() {
                on_page.extend(place.then(|| show(item)));
            } else {
                let view = show(item);
                if !self.has_fields(&view) {
                    continue;
                }
                on_page.extend(place.then_some(view));
            }
            total += 1;
        }
        page(total, on_page)
    }

    fn has_labels(&self, labels: Option<&Labels>) -> bool {
        self.labels.iter().all(|(name, wanted)| {
            let value = labels.and_then(|labels| labels.get(name));
            value.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
        })
    }

    fn has_fields(&self, view: &impl Serialize) -> bool {
        let Ok(Value::Object(view)) = serde_json::to_value(view) else { return false };
        self.fields.iter().all(|(name, wanted)| text_of(view.get(name)) == *wanted)
    }
}

/// A value as it is written in a query: what is absent is empty.
fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A whole number, at most so large.
pub(super) fn number(name: &str, text: &str, max: usize) -> Result<usize, ApiError> {
    let number = text.parse().ok().filter(|number| *number <= max);
    let reason = || match max {
        usize::MAX => "must be a whole number".to_owned(),
        max => format!("must be a whole number, at most {max}"),
    };
    number.ok_or_else(|| ApiError::argument(name, &reason()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Item {
        name: &'static str,
        size: Option<u8>,
        #[serde(skip)]
        labels: Labels,
    }

    fn check(query: &str, expected: Option<(usize, &[&str])>) {
        let items =
            [("a", Some(1), "web"), ("b", Some(2), "web"), ("c", None, "db")].map(|(name, size, tier)| {
                Item { name, size, labels: Labels::from([("tier".to_owned(), tier.to_owned())]) }
            });
        let listing = Listing::parse(query, &["name", "size"]).ok();
        let page = listing.map(|listing| listing.page(items.iter(), |item| Some(&item.labels), |item| item));
        let found =
            page.map(|page| (page.total_count, page.items.iter().map(|item| item.name).collect::<Vec<_>>()));
        assert_eq!(found, expected.map(|(total, names)| (total, names.to_vec())), "{query}");
    }

    #[test]
    fn a_page_holds_what_passes_all_filters() {
        check("", Some((3, &["a", "b", "c"])));
        check("limit=1&offset=1", Some((3, &["b"])));
        check("limit=0", Some((3, &[])));
        check("offset=18446744073709551615", Some((3, &[])));
        check("label=tier=web", Some((2, &["a", "b"])));
        check("label=tier", Some((3, &["a", "b", "c"])));
        check("label=tier=web&name=b", Some((1, &["b"])));
        check("label=tier&label=other", Some((0, &[])));
        check("size=2", Some((1, &["b"])));
        check("size=", Some((1, &["c"])));
        check("colour=red", None);
        check("limit=10001", None);
        check("limit=-1", None);
        check("offset=x", None);
    }
}

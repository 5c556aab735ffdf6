use std::fmt::Display;

use crate::model::Region;

/// Business parameters on their way to being flattened: `Tag.1.Key`. Absent values are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins with `RegionId`, which every ECS action needs beside the endpoint.
    pub(crate) fn in_region(region: &Region) -> Self {
        Self::new().with("RegionId", region)
    }

    /// Adds a value.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a value if there is one.
    pub(crate) fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds `name=true` if `flag` is set; the services' default for every flag used here is false.
    pub(crate) fn with_flag(self, name: &str, flag: bool) -> Self {
        if flag { self.with(name, "true") } else { self }
    }

    /// Adds `name.1`, `name.2`, ….
    pub(crate) fn with_list(self, name: &str, values: impl IntoIterator<Item = impl Display>) -> Self {
        values
            .into_iter()
            .zip(1..)
            .fold(self, |params, (value, n): (_, usize)| params.with(&format!("{name}.{n}"), value))
    }

    pub(crate) fn into_vec(self) -> Vec<(String, String)> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbered_from_one_and_absent_values_left_out() {
        let params = Params::in_region(&"cn-hangzhou".parse().unwrap())
            .with_list("AddAccount", ["1", "2"])
            .with_some("Description", None::<&str>)
            .with_flag("DryRun", false)
            .with_flag("Force", true);
        let expected =
            [("RegionId", "cn-hangzhou"), ("AddAccount.1", "1"), ("AddAccount.2", "2"), ("Force", "true")];
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(params.into_vec(), expected);
    }
}

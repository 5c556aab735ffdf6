use crate::model::{AccountId, ImageId, Region};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "ModifyImageSharePermission";

/// Shares an image with other accounts, or takes it back ("ModifyImageSharePermission" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModifyImageSharePermission {
    /// The image's region.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
    /// Accounts to share with; the service ignores more than [`Self::MAX_ACCOUNTS`] in one call.
    pub add: Vec<AccountId>,
    /// Accounts to take the image back from, with the same limit.
    pub remove: Vec<AccountId>,
    /// Publishes the image as a community image, or withdraws it.
    pub public: Option<bool>,
}

impl ModifyImageSharePermission {
    /// Largest number of accounts that one call adds or removes.
    pub const MAX_ACCOUNTS: usize = 10;

    /// Returns a request that changes nothing yet.
    pub fn new(region: Region, image_id: ImageId) -> Self {
        Self { region, image_id, add: Vec::new(), remove: Vec::new(), public: None }
    }

    /// Shares with these accounts.
    #[must_use]
    pub fn with_add(mut self, accounts: Vec<AccountId>) -> Self {
        self.add = accounts;
        self
    }

    /// Takes the image back from these accounts.
    #[must_use]
    pub fn with_remove(mut self, accounts: Vec<AccountId>) -> Self {
        self.remove = accounts;
        self
    }

    /// Publishes the image as a community image, or withdraws it.
    #[must_use]
    pub fn with_public(mut self, public: bool) -> Self {
        self.public = Some(public);
        self
    }
}

impl Operation for ModifyImageSharePermission {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region)
            .with("ImageId", &self.image_id)
            .with_list("AddAccount", &self.add)
            .with_list("RemoveAccount", &self.remove)
            .with_some("IsPublic", self.public);
        rpc::ecs(NAME, &self.region, params)
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::params;

    #[test]
    fn accounts_are_numbered() {
        let region = "cn-hangzhou".parse().unwrap();
        let mut modify = ModifyImageSharePermission::new(region, "m-1".parse().unwrap())
            .with_add(vec!["11".parse().unwrap(), "12".parse().unwrap()])
            .with_remove(vec!["13".parse().unwrap()]);
        modify.public = Some(false);
        let expected = [
            "RegionId=cn-hangzhou",
            "ImageId=m-1",
            "AddAccount.1=11",
            "AddAccount.2=12",
            "RemoveAccount.1=13",
            "IsPublic=false",
        ];
        assert_eq!(params(&modify), expected);
    }
}

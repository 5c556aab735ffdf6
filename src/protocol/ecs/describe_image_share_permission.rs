use crate::model::{AccountId, ImageId, Region};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DescribeImageSharePermission";
/// Largest page; an image can be shared with fewer accounts than that.
const PAGE_SIZE: u32 = 100;

/// Lists the accounts that an image is shared with ("DescribeImageSharePermission" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeImageSharePermission {
    /// The image's region.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
    /// The page, from 1.
    pub page: u32,
}

impl DescribeImageSharePermission {
    /// Returns a request about `image_id`.
    pub fn new(region: Region, image_id: ImageId) -> Self {
        Self { region, image_id, page: 1 }
    }
}

/// With whom an image is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageShares {
    /// The accounts of this page.
    pub accounts: Vec<AccountId>,
    /// Named groups, such as `all` for a community image.
    pub groups: Vec<String>,
    /// Whether further pages may hold more accounts.
    pub has_more: bool,
}

impl Operation for DescribeImageSharePermission {
    type Output = ImageShares;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region)
            .with("ImageId", &self.image_id)
            .with("PageNumber", self.page)
            .with("PageSize", PAGE_SIZE);
        rpc::ecs(NAME, &self.region, params)
    }

    fn decode(&self, answer: &Response) -> Result<ImageShares, DecodeError> {
        let value = json::read(NAME, answer)?;
        let accounts: Vec<AccountId> = json::list(&value, "Accounts", "Account")
            .into_iter()
            .map(|account| json::required(NAME, account, "AliyunId"))
            .collect::<Result<_, _>>()?;
        let groups = json::list(&value, "ShareGroups", "ShareGroup")
            .into_iter()
            .filter_map(|group| json::text(group, "Group"));
        let total = json::number(&value, "TotalCount").unwrap_or(accounts.len() as u64);
        let has_more = !accounts.is_empty() && u64::from(self.page) * u64::from(PAGE_SIZE) < total;
        Ok(ImageShares { accounts, groups: groups.collect(), has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::answer;

    #[test]
    fn accounts_may_be_numbers() {
        let describe =
            DescribeImageSharePermission::new("cn-hangzhou".parse().unwrap(), "m-1".parse().unwrap());
        let body = r#"{"TotalCount":2,"Accounts":{"Account":[{"AliyunId":"1234567890"},{"AliyunId":9876543210}]},
            "ShareGroups":{"ShareGroup":[{"Group":"all"}]}}"#;
        let shares = describe.decode(&answer(body)).unwrap();
        let accounts: Vec<&str> = shares.accounts.iter().map(AccountId::as_str).collect();
        assert_eq!(accounts, ["1234567890", "9876543210"]);
        assert_eq!((shares.groups.as_slice(), shares.has_more), (["all".to_owned()].as_slice(), false));
    }
}

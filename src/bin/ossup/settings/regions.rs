//! Typing errors in region ids.

use ossup::model::Region;

/// Regions of the public cloud ("Regions and endpoints" page). The list grows, so one that is missing here is not
/// wrong: these are only candidates for what a typing error may have meant.
pub(crate) const REGIONS: [&str; 34] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ap-southeast-8",
    "cn-beijing",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shenzhen",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "cn-zhongwei",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "us-east-1",
    "us-west-1",
];
/// How many letters of a name may be wrong, missing, or exchanged.
const SLIPS: usize = 2;

/// Returns the region that was probably meant, if this one is not known.
pub(crate) fn meant(region: &Region) -> Option<&'static str> {
    let name = region.as_str();
    // An unknown number is more likely a new region than a typing error.
    let number = |name: &str| name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let stem = &name[..name.len() - number(name)];
    let is_new = |listed: &str| number(listed) > 0 && &listed[..listed.len() - number(listed)] == stem;
    if REGIONS.contains(&name) || number(name) > 0 && REGIONS.into_iter().any(is_new) {
        return None;
    }
    let distance = |listed: &&str| strsim::damerau_levenshtein(listed, name);
    REGIONS.into_iter().min_by_key(distance).filter(|listed| distance(listed) <= SLIPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_leads_to_the_region_that_was_meant() {
        for (typed, expected) in [
            ("cn-hangzou", Some("cn-hangzhou")),
            ("cn-hagnzhou", Some("cn-hangzhou")),
            ("cn-bejing", Some("cn-beijing")),
            ("us-west1", Some("us-west-1")),
            ("eu-centrel-1", Some("eu-central-1")),
            ("cn-hangzhou", None),
            ("cn-hangzhou-finance", None),
            ("ap-southeast-9", None),
            ("xx-new-7", None),
        ] {
            assert_eq!(meant(&typed.parse().unwrap()), expected, "{typed}");
        }
    }
}

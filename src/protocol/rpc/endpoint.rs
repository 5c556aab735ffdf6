use crate::model::Region;
use crate::protocol::RpcService;

/// The host that serves DescribeRegions for every region, whose answer names each region's own endpoint.
pub const CENTRAL_ECS_HOST: &str = "ecs.aliyuncs.com";

/// Returns the host of `service` in `region` ("Endpoints" pages of ECS, RAM and STS), for HTTPS.
///
/// ECS hosts follow a pattern with exceptions that the vendor's SDK lists. A region that is newer than this
/// list gets the pattern, which is right for new regions.
pub fn host(service: RpcService, region: Option<&Region>) -> String {
    match (service, region) {
        (RpcService::Ram, _) => "ram.aliyuncs.com".to_owned(),
        (RpcService::Sts, None) => "sts.aliyuncs.com".to_owned(),
        (RpcService::Sts, Some(region)) => format!("sts.{region}.aliyuncs.com"),
        (RpcService::Ecs, None) => CENTRAL_ECS_HOST.to_owned(),
        (RpcService::Ecs, Some(region)) => ecs_host(region),
    }
}

fn ecs_host(region: &Region) -> String {
    match region.as_str() {
        "cn-hangzhou" | "cn-shanghai-finance-1" | "cn-shenzhen-finance-1" | "cn-fujian" => {
            "ecs-cn-hangzhou.aliyuncs.com".to_owned()
        }
        "cn-north-2-gov-1"
        | "cn-beijing-gov-1"
        | "cn-hangzhou-finance"
        | "cn-beijing-finance-pop"
        | "cn-hongkong-finance-pop"
        | "cn-wuhan"
        | "cn-zhangbei"
        | "cn-yushanfang"
        | "cn-shanghai-inner"
        | "cn-shenzhen-inner"
        | "ap-northeast-2-pop"
        | "rus-west-1-pop" => CENTRAL_ECS_HOST.to_owned(),
        "cn-edge-1" | "cn-huhehaote-nebula-1" | "cn-zhengzhou-nebula-1" => {
            "ecs.cn-qingdao-nebula.aliyuncs.com".to_owned()
        }
        other => format!("ecs.{other}.aliyuncs.com"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_follow_the_pattern_but_for_the_listed_exceptions() {
        for (service, region, expected) in [
            (RpcService::Ecs, Some("cn-hangzhou"), "ecs-cn-hangzhou.aliyuncs.com"),
            (RpcService::Ecs, Some("eu-central-1"), "ecs.eu-central-1.aliyuncs.com"),
            (RpcService::Ecs, Some("cn-hangzhou-finance"), "ecs.aliyuncs.com"),
            (RpcService::Ecs, Some("cn-edge-1"), "ecs.cn-qingdao-nebula.aliyuncs.com"),
            (RpcService::Ecs, Some("xx-new-7"), "ecs.xx-new-7.aliyuncs.com"),
            (RpcService::Ecs, None, "ecs.aliyuncs.com"),
            (RpcService::Ram, Some("cn-beijing"), "ram.aliyuncs.com"),
            (RpcService::Sts, Some("cn-beijing"), "sts.cn-beijing.aliyuncs.com"),
            (RpcService::Sts, None, "sts.aliyuncs.com"),
        ] {
            let region: Option<Region> = region.map(|region| region.parse().unwrap());
            assert_eq!(host(service, region.as_ref()), expected);
        }
    }
}

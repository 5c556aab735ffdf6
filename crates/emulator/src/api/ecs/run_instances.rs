//! RunInstances: one instance of an image, as far as a test of that image needs it ("RunInstances" page).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::clock::Millis;
use super::super::cloud;
use super::super::entry::Token;
use super::super::instance::Instance;
use super::images::SYSTEM_IMAGES;
use super::{no_image, rules};

/// The vSwitch that every region has.
pub(super) const VSWITCH: &str = "vsw-emulated";
/// The security group of the same VPC that every region has.
pub(super) const SECURITY_GROUP: &str = "sg-emulated";
/// A security group of another VPC.
const OTHER_SECURITY_GROUP: &str = "sg-elsewhere";
/// The time until the automatic release: half an hour to three years.
const RELEASE_MINUTES: std::ops::RangeInclusive<i64> = 30..=3 * 366 * 24 * 60;
/// Most user data, before Base64, in bytes.
const USER_DATA: usize = 32 << 10;

/// What an instance is made of: a custom image or one of ECS's own.
struct Source {
    id: String,
    os_type: String,
    architecture: String,
    size_gib: u64,
    /// What an instance of it says, if it is an image of the account.
    custom: bool,
}

impl Service<'_> {
    pub(super) fn run_instances(&mut self) -> Result<Value, Refusal> {
        super::refuse_unknown(
            self.call,
            &[
                "LaunchTemplateId",
                "LaunchTemplateName",
                "SecurityGroupIds.1",
                "DataDisk.1.Size",
                "SpotStrategy",
            ],
        )?;
        let call = self.call;
        if call.number::<u32>("Amount")?.unwrap_or(1) != 1 {
            return Err(Refusal::new(400, "NotImplemented", "This emulator makes one instance at a time."));
        }
        let image = call.required("ImageId")?;
        let instance_type = call.required("InstanceType")?.to_owned();
        let group = call.required("SecurityGroupId")?.to_owned();
        let vswitch = call.required("VSwitchId")?.to_owned();
        let tags = rules::tags(call)?;
        let name = call.text("InstanceName").unwrap_or_default().to_owned();
        self.check_user_data()?;
        // Whether a repeated request is recognised before its time is looked at is not documented.
        let release_at = self.release_at()?;
        if let Some(answer) = self.replay()? {
            return Ok(answer);
        }
        let source = self.source_of_instance(image)?;
        self.check_type(&instance_type, &source.architecture)?;
        check_network(&vswitch, &group)?;
        let smallest = source.size_gib.max(20);
        if call.number::<u64>("SystemDisk.Size")?.is_some_and(|size| size < smallest) {
            let message = "The specified parameter SystemDisk.Size is less than the image size.";
            return Err(Refusal::new(404, "InvalidSystemDiskSize.LessThanImageSize", message));
        }
        let running = self.state.instances.values().filter(|instance| !instance.released);
        if running.count() >= self.state.options.instance_quota {
            let message = "No additional quota is available for the specified ECS instance type.";
            return Err(Refusal::new(403, "QuotaExceed.ElasticQuota", message));
        }
        self.end_dry_run()?;
        let id = cloud::new_id("i", self.region());
        let answer = json!({
            "OrderId": "",
            "TradePrice": 0.1,
            "InstanceIdSets": {"InstanceIdSet": [id]},
        });
        let console = self.console_of(&source.id, source.custom, &instance_type)?;
        let instance = Instance {
            region: self.region().to_owned(),
            name: if name.is_empty() { id.clone() } else { name },
            image: source.id,
            os_type: source.os_type,
            instance_type,
            vswitch,
            security_group: group,
            tags,
            created: self.now,
            since: self.millis,
            release_at,
            released: false,
            console,
            // The clock of imports may run far ahead of the one that instances are released by.
            token: self.token(&answer).map(|token| Token { expires: Millis::MAX, ..token }),
            id,
        };
        self.state.put_instance(instance, self.emulator.store())?;
        Ok(answer)
    }

    /// Returns when the instance is to be released; seconds are cut off.
    fn release_at(&self) -> Result<Option<Timestamp>, Refusal> {
        let name = "AutoReleaseTime";
        let Some(text) = self.call.text(name) else { return Ok(None) };
        let malformed = || Refusal::malformed("InvalidAutoReleaseTime.Malformed", name);
        let asked = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text.replace('Z', "+0000"));
        let asked = asked.map_err(|_| malformed())?;
        let ahead = asked.duration_since(self.now).as_mins();
        if !RELEASE_MINUTES.contains(&ahead) {
            return Err(malformed());
        }
        let seconds = asked.as_second().rem_euclid(60);
        asked.checked_sub(SignedDuration::from_secs(seconds)).map(Some).map_err(|_| malformed())
    }

    fn check_user_data(&self) -> Result<(), Refusal> {
        let Some(text) = self.call.text("UserData") else { return Ok(()) };
        let refusal = |code| Refusal::new(400, code, "The specified UserData is not valid.");
        let data = STANDARD.decode(text).map_err(|_| refusal("InvalidUserData.Base64FormatInvalid"))?;
        if data.len() > USER_DATA { Err(refusal("InvalidUserData.SizeExceeded")) } else { Ok(()) }
    }

    fn source_of_instance(&self, id: &str) -> Result<Source, Refusal> {
        if let Some((_, architecture)) = SYSTEM_IMAGES.iter().find(|(known, _)| *known == id) {
            let (os_type, architecture) = ("linux".to_owned(), (*architecture).to_owned());
            return Ok(Source { id: id.to_owned(), os_type, architecture, size_gib: 20, custom: false });
        }
        let entry = self.image(id).ok_or_else(no_image)?;
        // Deprecated images can still be used.
        if !["Available", "Deprecated"].contains(&entry.image_status(&self.state.options)) {
            let message = "The specified Image is disabled or is deleted.";
            return Err(Refusal::new(403, "OperationDenied.ImageNotValid", message));
        }
        Ok(Source {
            id: id.to_owned(),
            os_type: entry.image.os_type.clone(),
            architecture: entry.image.architecture.clone(),
            size_gib: entry.image.disks.first().map_or(0, |disk| disk.size_gib),
            custom: true,
        })
    }

    fn check_type(&self, name: &str, architecture: &str) -> Result<(), Refusal> {
        let Some(family) = family(name) else {
            let message = "The specified InstanceType beyond the permitted range.";
            return Err(Refusal::new(400, "InvalidInstanceType.ValueNotSupported", message));
        };
        if is_arm(family) != (architecture == "arm64") {
            let message = "The specified image does not support the specified instance type.";
            return Err(Refusal::new(400, "InvalidParameter.Conflict", message));
        }
        if self.state.options.type_without_stock.as_deref() == Some(name) {
            let message = "The resource is out of stock in the specified zone. \
                           Please try other types, or choose other regions and zones.";
            return Err(Refusal::new(403, "OperationDenied.NoStock", message));
        }
        Ok(())
    }
}

fn check_network(vswitch: &str, group: &str) -> Result<(), Refusal> {
    if vswitch != VSWITCH {
        let message = "Specified virtual switch does not exist.";
        return Err(Refusal::new(404, "InvalidVSwitchId.NotFound", message));
    }
    match group {
        SECURITY_GROUP => Ok(()),
        OTHER_SECURITY_GROUP => {
            let message = "Specified security group and virtual switch are not in the same VPC.";
            Err(Refusal::new(400, "InvalidParameter.Mismatch", message))
        }
        _ => {
            let message = "The SecurityGroupId provided does not exist in our records.";
            Err(Refusal::new(404, "InvalidSecurityGroupId.NotFound", message))
        }
    }
}

/// Returns the family of an instance type: `g7` of `ecs.g7.large`.
pub(super) fn family(name: &str) -> Option<&str> {
    let (family, size) = name.strip_prefix("ecs.")?.split_once('.')?;
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_word(family) && is_word(size) && generation(family).is_some()).then_some(family)
}

/// Returns the generation of a family: 7 of `g7se`.
pub(super) fn generation(family: &str) -> Option<u32> {
    let digits = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Whether a family has Arm processors: `c6r`, `g8y`.
fn is_arm(family: &str) -> bool {
    let letters = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    ["r", "y"].contains(&letters.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_of_a_family_and_a_generation() {
        assert_eq!(family("ecs.g7.large"), Some("g7"));
        assert_eq!(family("ecs.c8y.xlarge"), Some("c8y"));
        assert!(is_arm("c8y") && is_arm("g6r") && !is_arm("g7se") && !is_arm("r7"));
        assert_eq!((generation("g7se"), generation("hfc6"), generation("g")), (Some(7), Some(6), None));
        for wrong in ["g7.large", "ecs.g7", "ecs.g7.", "ecs..large", "ecs.t.large", "t2.micro"] {
            assert_eq!(family(wrong), None, "{wrong}");
        }
    }
}

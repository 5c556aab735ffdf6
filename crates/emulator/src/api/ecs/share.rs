//! ModifyImageSharePermission and DescribeImageSharePermission.

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::entry::Encryption;
use super::page;

/// How many accounts one call adds or removes; more are ignored.
const PER_CALL: usize = 10;
/// How many accounts an image can be shared with.
const PER_IMAGE: usize = 50;

impl Service<'_> {
    pub(super) fn modify_image_share_permission(&mut self) -> Result<Value, Refusal> {
        super::refuse_unknown(self.call, &["LaunchPermission"])?;
        let public = self.call.text("IsPublic").map(|_| self.call.flag("IsPublic")).transpose()?;
        let (add, remove) = (self.call.list("AddAccount"), self.call.list("RemoveAccount"));
        let is_account =
            |text: &&&str| (10..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if add.iter().chain(&remove).any(|account| !is_account(&account)) {
            let message = "The specified account does not exist.";
            return Err(Refusal::new(404, "InvalidAccount.NotFound", message));
        }
        // Taking an image back is possible in any state, giving it to others only in one.
        let gives = !add.is_empty() || public == Some(true);
        let mut entry = if gives { self.available_image()? } else { self.required_image()? }.clone();
        if !add.is_empty() && (entry.image.public || public == Some(true)) {
            return Err(super::community_image());
        }
        let encryption = || entry.image.disks.iter().filter_map(|disk| disk.encryption.as_ref());
        // Encrypted images are never public, and shared only if the key is the caller's.
        let shares_service_key = !add.is_empty() && encryption().any(|key| *key == Encryption::ServiceKey);
        if shares_service_key || public == Some(true) && encryption().next().is_some() {
            let message = "The image contains encrypted snapshots, which do not support this operation.";
            return Err(Refusal::new(403, "OperationDeined.EncryptedSnapshot", message));
        }
        let shared = &mut entry.image.shared_with;
        for account in add.into_iter().take(PER_CALL) {
            if !shared.iter().any(|known| known == account) {
                shared.push(account.to_owned());
            }
        }
        shared.retain(|known| !remove.iter().take(PER_CALL).any(|account| account == known));
        if shared.len() > PER_IMAGE {
            let message = "The image is shared with too many accounts.";
            return Err(Refusal::new(403, "QuotaExceed.ShareImage", message));
        }
        entry.image.public = public.unwrap_or(entry.image.public);
        self.end_dry_run()?;
        self.state.put(entry, self.emulator.store())?;
        Ok(json!({}))
    }

    pub(super) fn describe_image_share_permission(&mut self) -> Result<Value, Refusal> {
        let (number, size) = self.call.page()?;
        let image = &self.required_image()?.image;
        let accounts: Vec<Value> =
            image.shared_with.iter().map(|account| json!({"AliyunId": account})).collect();
        let groups: Vec<Value> = if image.public { vec![json!({"Group": "all"})] } else { Vec::new() };
        Ok(json!({
            "ImageId": image.id,
            "RegionId": image.region,
            "TotalCount": accounts.len(),
            "PageNumber": number,
            "PageSize": size,
            "Accounts": {"Account": page(accounts, number, size)},
            "ShareGroups": {"ShareGroup": groups},
        }))
    }
}

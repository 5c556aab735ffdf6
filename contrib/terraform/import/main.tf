# An image that `ossup publish` made comes under Terraform's management: its name, description and tags from then on.
#
#   terraform plan -var image_id="$(jq -r .image_id web-1.0.ossup.json)"
terraform {
  required_version = ">= 1.5"
  required_providers {
    alicloud = {
      source = "aliyun/alicloud"
    }
  }
}

variable "image_id" {
  type        = string
  description = "Id of the image, from the manifest of `ossup publish`."
}

variable "name" {
  type        = string
  description = "Its name, as `ossup` was told."
}

import {
  to = alicloud_image.published
  id = var.image_id
}

resource "alicloud_image" "published" {
  image_name = var.name

  lifecycle {
    # What it was made from is not known to the provider.
    ignore_changes = [instance_id, snapshot_id, disk_device_mapping]
  }
}

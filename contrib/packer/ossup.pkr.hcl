# The QEMU builder's disk is published by `ossup` in place of the `alicloud-import` post-processor, which sends the file
# in one request of at most 5 GB.
variable "target" {
  type        = string
  default     = "oss://images/"
  description = "Where the disk is uploaded."
}

variable "region" {
  type    = string
  default = "cn-hangzhou"
}

variable "iso_url" {
  type        = string
  description = "The installer that the disk is made from."
}

variable "iso_checksum" {
  type = string
}

source "qemu" "example" {
  iso_url          = var.iso_url
  iso_checksum     = var.iso_checksum
  format           = "qcow2"
  output_directory = "output-example"
  vm_name          = "disk.qcow2"
  ssh_username     = "packer"
}

build {
  sources = ["source.qemu.example"]

  post-processor "shell-local" {
    environment_vars = [
      "IMAGE=output-example/disk.qcow2",
      "TARGET=${var.target}",
      "REGION=${var.region}",
      "NAME=example-${formatdate("YYYYMMDD-hhmm", timestamp())}",
    ]
    script = "${path.root}/publish.sh"
  }
}

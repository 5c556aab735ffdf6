# Publishes an image, and knows it by its name afterwards. Terraform's provider uploads a file in one request of at most
# 5 GB and waits 20 minutes; `ossup` does both without such a limit, and goes on where an apply was interrupted.
terraform {
  required_version = ">= 1.5"
}

variable "image" {
  type        = string
  description = "The disk image to publish."
}

variable "target" {
  type        = string
  description = "Where it is uploaded, such as oss://images/."
}

variable "name" {
  type        = string
  description = "Name of the custom image."
}

variable "region" {
  type = string
}

locals {
  manifest = "${path.root}/${var.name}.ossup.json"
}

# A new file is a new image: change the name with it, for ECS has no image under another one's name.
resource "terraform_data" "image" {
  triggers_replace = [var.name, filesha256(var.image)]

  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-euc"]
    command     = "ossup publish \"$IMAGE\" \"$TARGET\" --name \"$NAME\" --region \"$REGION\" --manifest \"$MANIFEST\" --progress plain"
    environment = {
      IMAGE    = var.image
      TARGET   = var.target
      NAME     = var.name
      REGION   = var.region
      MANIFEST = local.manifest
    }
  }
}

output "manifest" {
  value       = local.manifest
  description = "What was published, as JSON: the image's id in each region, the object, its SHA-256."
  depends_on  = [terraform_data.image]
}

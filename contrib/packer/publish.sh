#!/bin/sh
# The post-processor of ossup.pkr.hcl. Credentials come from the environment or the profile that `ossup` finds.
set -eu
exec ossup publish "$IMAGE" "$TARGET" --name "$NAME" --region "$REGION" --manifest ossup-manifest.json --progress plain

package deploy

import "github.com/neargate/neargate/internal/model"

// newImages returns the digests that tasks of the primary deployment found behind their images' tags, of the containers
// whose image was not known yet.
func newImages(tasks []*model.Task, deployments []model.Deployment) map[string]string {
	if len(deployments) == 0 {
		return nil
	}
	primary := &deployments[0]
	images := map[string]string{}
	for _, t := range tasks {
		if t.DeploymentID != primary.ID {
			continue
		}
		for _, c := range t.Containers {
			if c.ImageDigest != "" && primary.Images[c.Name] == "" && images[c.Name] == "" {
				images[c.Name] = c.ImageDigest
			}
		}
	}
	return images
}

// bindImages has all later tasks of a deployment run the same images, wherever their tags lead by then: ECS's version
// consistency. A new deployment, also a forced one, looks the tags up anew.
func bindImages(d *model.Deployment, images map[string]string) {
	if d.Images == nil {
		d.Images = map[string]string{}
	}
	for name, digest := range images {
		d.Images[name] = digest
	}
}

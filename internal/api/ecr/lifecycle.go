package ecr

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/model"
)

// lifecycleRule is one rule of a lifecycle policy.
type lifecycleRule struct {
	RulePriority int    `json:"rulePriority"`
	Description  string `json:"description"`
	Selection    struct {
		TagStatus      string   `json:"tagStatus"`
		TagPrefixList  []string `json:"tagPrefixList"`
		TagPatternList []string `json:"tagPatternList"`
		CountType      string   `json:"countType"`
		CountUnit      string   `json:"countUnit"`
		CountNumber    int      `json:"countNumber"`
	} `json:"selection"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

const (
	countMoreThan = "imageCountMoreThan"
	sincePushed   = "sinceImagePushed"
)

// parseLifecycle reads a policy and returns its rules by priority. What is not acted on is refused.
func parseLifecycle(text string) ([]lifecycleRule, error) {
	var policy struct {
		Rules []lifecycleRule `json:"rules"`
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&policy); err != nil {
		return nil, fmt.Errorf("string is not a valid policy: %w", err)
	}
	if len(policy.Rules) == 0 {
		return nil, errors.New("rules is empty")
	}
	seen := map[int]bool{}
	for i := range policy.Rules {
		r := &policy.Rules[i]
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", r.RulePriority, err)
		}
		if seen[r.RulePriority] {
			return nil, fmt.Errorf("rulePriority %d occurs twice", r.RulePriority)
		}
		seen[r.RulePriority] = true
	}
	slices.SortFunc(policy.Rules, func(a, b lifecycleRule) int { return cmp.Compare(a.RulePriority, b.RulePriority) })
	return policy.Rules, nil
}

func (r *lifecycleRule) check() error {
	sel := &r.Selection
	tagged := len(sel.TagPrefixList) + len(sel.TagPatternList)
	switch {
	case r.RulePriority < 1:
		return errors.New("rulePriority has to be 1 or greater")
	case r.Action.Type != "expire":
		return fmt.Errorf("only the action expire is supported, not '%s'", r.Action.Type)
	case sel.TagStatus != "tagged" && sel.TagStatus != "untagged" && sel.TagStatus != "any":
		return fmt.Errorf("tagStatus '%s' is not tagged, untagged or any", sel.TagStatus)
	case sel.TagStatus == "tagged" && tagged == 0:
		return errors.New("tagged needs a tagPrefixList or tagPatternList")
	case sel.TagStatus != "tagged" && tagged > 0, len(sel.TagPrefixList) > 0 && len(sel.TagPatternList) > 0:
		return errors.New("tagPrefixList and tagPatternList belong to tagged, one of them")
	case sel.CountNumber < 1:
		return errors.New("countNumber has to be 1 or greater")
	case sel.CountType == countMoreThan && sel.CountUnit != "":
		return errors.New("countUnit does not belong to imageCountMoreThan")
	case sel.CountType == sincePushed && sel.CountUnit != "days":
		return errors.New("countUnit has to be days")
	case sel.CountType != countMoreThan && sel.CountType != sincePushed:
		return fmt.Errorf("only the count types imageCountMoreThan and sinceImagePushed are supported, not '%s'", sel.CountType)
	}
	return nil
}

// selects reports whether the rule speaks of an image. With several prefixes or patterns the image needs a tag for each.
func (r *lifecycleRule) selects(img *model.Image) bool {
	all := func(list []string, match func(want, tag string) bool) bool {
		for _, want := range list {
			if !slices.ContainsFunc(img.Tags, func(tag string) bool { return match(want, tag) }) {
				return false
			}
		}
		return true
	}
	switch r.Selection.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(img.Tags) == 0
	}
	return len(img.Tags) > 0 &&
		all(r.Selection.TagPrefixList, func(want, tag string) bool { return strings.HasPrefix(tag, want) }) &&
		all(r.Selection.TagPatternList, func(want, tag string) bool {
			ok, err := path.Match(want, tag) // a tag has no slash, so '*' is anything
			return err == nil && ok
		})
}

// planExpiry returns the images that rules expire. An image that a rule of higher priority (a smaller number) speaks of is not the business of
// later ones.
func planExpiry(rules []lifecycleRule, images []*model.Image, now time.Time) []*model.Image {
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b *model.Image) int {
		return cmp.Or(b.PushedAt.Compare(a.PushedAt), cmp.Compare(a.Digest, b.Digest)) // youngest first
	})
	taken := map[*model.Image]bool{}
	var expired []*model.Image
	for i := range rules {
		r := &rules[i]
		n := 0
		for _, img := range images {
			if taken[img] || !r.selects(img) {
				continue
			}
			taken[img] = true
			n++
			old := r.Selection.CountType == sincePushed && now.Sub(img.PushedAt) > time.Duration(r.Selection.CountNumber)*24*time.Hour
			many := r.Selection.CountType == countMoreThan && n > r.Selection.CountNumber
			if old || many {
				expired = append(expired, img)
			}
		}
	}
	return expired
}

package ecs

import (
	"context"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// settings are the account settings with the only value that is true of Neargate: ARNs are long, each task has an ENI
// of its own, and what does not exist here is off.
var settings = []struct{ name, value string }{
	{"awsvpcTrunking", "disabled"},
	{"containerInsights", "disabled"},
	{"containerInstanceLongArnFormat", "enabled"},
	{"defaultLogDriverMode", "non-blocking"},
	{"dualStackIPv6", "disabled"},
	{"serviceLongArnFormat", "enabled"},
	{"tagResourceAuthorization", "off"},
	{"taskLongArnFormat", "enabled"},
}

// logDriverMode is the one setting that can be changed: node hands it to the log shipper (aws-facts 1.13).
const logDriverMode = "defaultLogDriverMode"

// ListAccountSettings lists the account's settings: those that were put, or all that are effective.
func (s *Server) ListAccountSettings(_ context.Context, in *ecsapi.ListAccountSettingsInput) (*ecsapi.ListAccountSettingsOutput, error) {
	view := s.db.View()
	root := s.root()
	if err := s.onlyRoot(in.PrincipalArn); err != nil {
		return nil, err
	}
	var found []ecsapi.Setting
	for _, setting := range settings {
		value := setting.value
		rec, isSet := s.tables.AccountSettings.Get(view, setting.name)
		if isSet {
			value = rec.Value
		} else if !awsapi.Val(in.EffectiveSettings) {
			continue
		}
		if in.Name != "" && string(in.Name) != setting.name || in.Value != nil && *in.Value != value {
			continue
		}
		found = append(found, ecsapi.Setting{Name: ecsapi.SettingName(setting.name), PrincipalArn: &root, Value: &value, Type: ecsapi.SettingTypeUser})
	}
	page, next, err := awsapi.Page("ecs:ListAccountSettings", found, func(v ecsapi.Setting) string { return string(v.Name) }, in.NextToken, in.MaxResults, maxPage)
	if err != nil {
		return nil, err
	}
	return &ecsapi.ListAccountSettingsOutput{Settings: append([]ecsapi.Setting{}, page...), NextToken: next}, nil
}

// root returns the principal whose settings these are: there is one set for the whole account.
func (s *Server) root() string {
	return model.ARN{Service: "iam", Account: s.scope.Account, Resource: "root"}.String()
}

func (s *Server) onlyRoot(principal *string) error {
	if v := awsapi.Val(principal); v != "" && v != s.root() {
		return unsupported("principalArn "+v, "settings are the same for all principals. Use "+s.root()+" or leave it out.")
	}
	return nil
}

// PutAccountSetting changes the default log driver mode; any other setting keeps its only value.
func (s *Server) PutAccountSetting(ctx context.Context, in *ecsapi.PutAccountSettingInput) (*ecsapi.PutAccountSettingOutput, error) {
	if err := s.onlyRoot(in.PrincipalArn); err != nil {
		return nil, err
	}
	setting, err := s.putSetting(ctx, string(in.Name), awsapi.Val(in.Value))
	if err != nil {
		return nil, err
	}
	return &ecsapi.PutAccountSettingOutput{Setting: setting}, nil
}

// PutAccountSettingDefault does the same as PutAccountSetting: there is one principal.
func (s *Server) PutAccountSettingDefault(ctx context.Context, in *ecsapi.PutAccountSettingDefaultInput) (*ecsapi.PutAccountSettingDefaultOutput, error) {
	setting, err := s.putSetting(ctx, string(in.Name), awsapi.Val(in.Value))
	if err != nil {
		return nil, err
	}
	return &ecsapi.PutAccountSettingDefaultOutput{Setting: setting}, nil
}

func (s *Server) putSetting(ctx context.Context, name, value string) (*ecsapi.Setting, error) {
	root := s.root()
	answer := &ecsapi.Setting{Name: ecsapi.SettingName(name), PrincipalArn: &root, Value: &value, Type: ecsapi.SettingTypeUser}
	for _, setting := range settings {
		if setting.name != name {
			continue
		}
		if name != logDriverMode {
			if value != setting.value {
				return nil, unsupported(name+" "+value, "the only value here is "+setting.value+".")
			}
			return answer, nil
		}
		if value != "blocking" && value != "non-blocking" {
			return nil, invalid("The value of %s must be blocking or non-blocking, not '%s'.", name, value)
		}
		return answer, s.db.Update(ctx, func(tx *store.Txn) error {
			s.tables.AccountSettings.Put(tx, &model.AccountSetting{Name: name, Value: value})
			return nil
		})
	}
	return nil, unsupported("the account setting "+name, "see ListAccountSettings for those that exist.")
}

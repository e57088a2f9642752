package model

import "time"

// Role is an IAM role. Its key is its name.
type Role struct {
	Meta
	Name                string            `json:"name"`
	ID                  string            `json:"id"` // AROA...
	ARN                 string            `json:"arn"`
	Path                string            `json:"path"`
	Description         string            `json:"description,omitempty"`
	TrustPolicy         string            `json:"trustPolicy"`
	MaxSession          int               `json:"maxSession"` // seconds
	PermissionsBoundary string            `json:"permissionsBoundary,omitempty"`
	Inline              map[string]string `json:"inline,omitempty"`   // policy name to document
	Attached            []string          `json:"attached,omitempty"` // policy ARNs
	ServiceLinked       string            `json:"serviceLinked,omitempty"`
}

// Policy is a customer-managed policy. Its key is its ARN.
type Policy struct {
	Meta
	Name           string          `json:"name"`
	ID             string          `json:"id"` // ANPA...
	ARN            string          `json:"arn"`
	Path           string          `json:"path"`
	Description    string          `json:"description,omitempty"`
	Versions       []PolicyVersion `json:"versions"`
	DefaultVersion string          `json:"defaultVersion"`
	NextVersion    int             `json:"nextVersion"`
	UpdatedAt      time.Time       `json:"updatedAt"`
}

// PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	ID        string    `json:"id"` // v1
	Document  string    `json:"document"`
	CreatedAt time.Time `json:"createdAt"`
}

// Session is a set of temporary credentials. Its key is the access key ID (ASIA...).
type Session struct {
	AccessKeyID string    `json:"accessKeyId"`
	Secret      string    `json:"secret"`
	Token       string    `json:"token"`
	Principal   string    `json:"principal"` // ARN
	RoleName    string    `json:"roleName,omitempty"`
	RoleID      string    `json:"roleId,omitempty"`
	Name        string    `json:"name,omitempty"`
	TaskID      string    `json:"taskId,omitempty"` // set for a task's credentials: gone with the task
	ExpiresAt   time.Time `json:"expiresAt"`
}

// AccountSetting is an ECS account setting. Its key is its name.
type AccountSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

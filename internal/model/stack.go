package model

import "time"

// Stack is a CloudFormation stack. Its key is its ARN: a deleted stack stays readable by ARN under a name that is used again.
type Stack struct {
	Meta
	ARN                   string            `json:"arn"`
	Name                  string            `json:"name"`
	Description           string            `json:"description,omitempty"`
	Status                string            `json:"status"`
	StatusReason          string            `json:"statusReason,omitempty"`
	Template              string            `json:"template"`
	PreviousTemplate      string            `json:"previousTemplate,omitempty"` // what a rollback goes back to
	Parameters            map[string]string `json:"parameters,omitempty"`
	NoEcho                []string          `json:"noEcho,omitempty"` // parameters whose value is not shown
	PreviousParameters    map[string]string `json:"previousParameters,omitempty"`
	PreviousTags          Tags              `json:"previousTags,omitempty"`
	Capabilities          []string          `json:"capabilities,omitempty"`
	RoleARN               string            `json:"roleArn,omitempty"`
	NotificationARNs      []string          `json:"notificationArns,omitempty"`
	DisableRollback       bool              `json:"disableRollback,omitempty"`
	OnFailure             string            `json:"onFailure,omitempty"`
	RetainExceptOnCreate  bool              `json:"retainExceptOnCreate,omitempty"`
	TerminationProtection bool              `json:"terminationProtection,omitempty"`
	TimeoutMinutes        int               `json:"timeoutMinutes,omitempty"`
	ClientToken           string            `json:"clientToken,omitempty"`
	Principal             string            `json:"principal,omitempty"` // who asked for the running operation
	Outputs               []StackOutput     `json:"outputs,omitempty"`
	ChangeSetID           string            `json:"changeSetId,omitempty"`
	RetainResources       []string          `json:"retainResources,omitempty"`
	SkipResources         []string          `json:"skipResources,omitempty"` // of ContinueUpdateRollback
	Imports               []string          `json:"imports,omitempty"`       // names of exports that the stack uses
	Operation             string            `json:"operation,omitempty"`     // what the runner is at: CREATE, UPDATE, ROLLBACK, ...
	OperationID           string            `json:"operationId,omitempty"`
	StartedAt             time.Time         `json:"startedAt"` // of the running operation
	UpdatedAt             time.Time         `json:"updatedAt"`
	DeletedAt             time.Time         `json:"deletedAt"`
}

// StackOutput is an output of a stack; Export is empty when it is not exported.
type StackOutput struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
	Export      string `json:"export,omitempty"`
}

// StackResource is a resource of a stack. Its key is [StackResourceKey].
type StackResource struct {
	StackARN     string            `json:"stackArn"`
	LogicalID    string            `json:"logicalId"`
	PhysicalID   string            `json:"physicalId,omitempty"`
	Type         string            `json:"type"`
	Status       string            `json:"status"`
	StatusReason string            `json:"statusReason,omitempty"`
	Token        string            `json:"token,omitempty"`      // client token of the create that may be under way
	Properties   string            `json:"properties,omitempty"` // JSON, resolved, as last applied
	Attributes   map[string]string `json:"attributes,omitempty"` // GetAtt values, as last read
	// Lists are those GetAtt values that are lists.
	Lists map[string][]string `json:"lists,omitempty"`
	// Step is what is under way (CREATE, REPLACE, UPDATE, DELETE), Pending the properties that it applies: what a runner
	// that starts again needs to go on instead of making things twice.
	Step        string `json:"step,omitempty"`
	OperationID string `json:"operationId,omitempty"` // of the stack operation that began the step
	Pending     string `json:"pending,omitempty"`
	// BegunAt is when the physical resource began to be made.
	BegunAt time.Time `json:"begunAt"`
	// Previous is the resource before the running update, Obsolete what was replaced and waits for the cleanup.
	Previous            *StackResourceVersion  `json:"previous,omitempty"`
	Obsolete            []StackResourceVersion `json:"obsolete,omitempty"`
	Tags                Tags                   `json:"tags,omitempty"`  // of the stack, as last put on it
	Needs               []string               `json:"needs,omitempty"` // logical IDs that it was made after
	Metadata            string                 `json:"metadata,omitempty"`
	DeletionPolicy      string                 `json:"deletionPolicy,omitempty"`
	UpdateReplacePolicy string                 `json:"updateReplacePolicy,omitempty"`
	UpdatedAt           time.Time              `json:"updatedAt"`
}

// StackResourceVersion is one physical resource that a logical one has had.
type StackResourceVersion struct {
	PhysicalID string              `json:"physicalId"`
	Type       string              `json:"type"`
	Properties string              `json:"properties,omitempty"`
	Attributes map[string]string   `json:"attributes,omitempty"`
	Lists      map[string][]string `json:"lists,omitempty"`
	Needs      []string            `json:"needs,omitempty"`
}

// StackResourceKey returns the key of a stack's resource.
func StackResourceKey(stackARN, logicalID string) string { return stackARN + "#" + logicalID }

// Key returns the record's key.
func (r *StackResource) Key() string { return StackResourceKey(r.StackARN, r.LogicalID) }

// StackEvent is one line of a stack's history. Its key is [StackEvent.Key].
type StackEvent struct {
	StackARN   string    `json:"stackArn"`
	StackName  string    `json:"stackName"`
	ID         string    `json:"id"`
	Seq        int64     `json:"seq"`
	LogicalID  string    `json:"logicalId"`
	PhysicalID string    `json:"physicalId,omitempty"`
	Type       string    `json:"type"`
	Status     string    `json:"status"`
	Reason     string    `json:"reason,omitempty"`
	Properties string    `json:"properties,omitempty"`
	Token      string    `json:"token,omitempty"`
	At         time.Time `json:"at"`
}

// Key returns the record's key; events of a stack sort by the time they were written.
func (e *StackEvent) Key() string {
	return e.StackARN + "#" + e.At.UTC().Format("20060102T150405.000000000") + "#" + e.ID
}

// ChangeSet is a change that may be executed. Its key is its ARN.
type ChangeSet struct {
	Meta
	ARN             string            `json:"arn"`
	Name            string            `json:"name"`
	StackARN        string            `json:"stackArn"`
	StackName       string            `json:"stackName"`
	Type            string            `json:"type"` // CREATE, UPDATE
	Status          string            `json:"status"`
	StatusReason    string            `json:"statusReason,omitempty"`
	ExecutionStatus string            `json:"executionStatus"`
	Description     string            `json:"description,omitempty"`
	OnStackFailure  string            `json:"onStackFailure,omitempty"`
	RoleARN         string            `json:"roleArn,omitempty"`
	Notifications   []string          `json:"notificationArns,omitempty"`
	Template        string            `json:"template"`
	Parameters      map[string]string `json:"parameters,omitempty"`
	NoEcho          []string          `json:"noEcho,omitempty"`
	Capabilities    []string          `json:"capabilities,omitempty"`
	ClientToken     string            `json:"clientToken,omitempty"`
	Changes         string            `json:"changes,omitempty"` // JSON of stack.Change
}

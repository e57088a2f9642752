package cfn

import "strings"

// The states of stacks and resources, as CloudFormation names them.
const (
	createInProgress         = "CREATE_IN_PROGRESS"
	createComplete           = "CREATE_COMPLETE"
	createFailed             = "CREATE_FAILED"
	rollbackInProgress       = "ROLLBACK_IN_PROGRESS"
	rollbackComplete         = "ROLLBACK_COMPLETE"
	rollbackFailed           = "ROLLBACK_FAILED"
	updateInProgress         = "UPDATE_IN_PROGRESS"
	updateCleanup            = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
	updateComplete           = "UPDATE_COMPLETE"
	updateFailed             = "UPDATE_FAILED"
	updateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS"
	updateRollbackCleanup    = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
	updateRollbackComplete   = "UPDATE_ROLLBACK_COMPLETE"
	updateRollbackFailed     = "UPDATE_ROLLBACK_FAILED"
	deleteInProgress         = "DELETE_IN_PROGRESS"
	deleteComplete           = "DELETE_COMPLETE"
	deleteFailed             = "DELETE_FAILED"
	deleteSkipped            = "DELETE_SKIPPED"
	reviewInProgress         = "REVIEW_IN_PROGRESS"
)

// What a runner is at (Stack.Operation). An operation leads to the next without a gap, so that none is lost.
const (
	opCreate                = "CREATE"
	opRollback              = "ROLLBACK" // of a create
	opUpdate                = "UPDATE"
	opUpdateCleanup         = "UPDATE_CLEANUP"
	opUpdateRollback        = "UPDATE_ROLLBACK"
	opUpdateRollbackCleanup = "UPDATE_ROLLBACK_CLEANUP"
	opDelete                = "DELETE"
)

// The steps of a resource (StackResource.Step).
const (
	stepCreate  = "CREATE"
	stepReplace = "REPLACE"
	stepUpdate  = "UPDATE"
	stepDelete  = "DELETE"
)

// isFailed reports whether a state of a resource says that its last step did not succeed.
func isFailed(status string) bool { return strings.HasSuffix(status, "_FAILED") }

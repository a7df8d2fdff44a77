/* See agent_frames.h.  (Where the data can't be read the row says so, and the walk ends.) */
#include "capture/agent_frames.h"

#include "agent/blob.h"

bool agent_frames_row(struct agent_frames *frames, const struct arch *arch,
		      const struct undo *undo, taddr_t pc, bool exact, struct row *ret)
{
	taddr_t at = pc - !exact;

	if (!undo_is_agent(undo, at))
		return false;
	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (!frames->cfi &&
	    cfi_open_copy(blob_frames, blob_frames_len, arch, &frames->cfi, NULL))
		frames->cfi = NULL;
	if (frames->cfi)
		cfi_row(frames->cfi, at - undo->agent.base + BLOB_LINKED_AT, ret);
	return true;
}

void agent_frames_deinit(struct agent_frames *frames)
{
	cfi_close(frames->cfi);
	frames->cfi = NULL;
}

/* What a resolver chooses from; see ifunc.h. */
#include "hook/ifunc.h"

#include <elf.h>

enum { CODE = 1024, ADDRESSES = 64 };

static bool is_known(const struct image_symbol *list, size_t count, uint64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].value == value)
			return true;
	return false;
}

/* Code where a function may begin: the beginning of one, where symbols tell. */
static bool is_choice(const struct entries *entries, const struct image_symbol *resolver,
		      uint64_t value, struct image_symbol *ret)
{
	struct image *image = entries->module->image;

	if (!image_is_code(image, value) || value - resolver->value <= resolver->size)
		return false;
	ret->size = 0;
	return !image_symbol_at(image, value, ret) || ret->value == value;
}

size_t ifunc_choices(const struct entries *entries, const struct image_symbol *resolver,
		     struct image_symbol *ret)
{
	const struct arch *arch = entries->arch;
	size_t len = resolver->size && resolver->size < CODE ? resolver->size : CODE;
	taddr_t addresses[ADDRESSES];
	size_t found, count = 0;
	uint8_t code[CODE];

	if (image_read(entries->module->image, resolver->value, code, len))
		return 0;
	found = arch->trap->addresses(code, len, resolver->value | resolver->thumb, addresses,
				ADDRESSES);
	for (size_t i = 0; i < found && count < IFUNC_CHOICES; i++) {
		uint64_t value = addresses[i] & ~arch->state_mask;
		struct image_symbol symbol = {0};

		if (is_known(ret, count, value) ||
		    !is_choice(entries, resolver, value, &symbol))
			continue;
		ret[count++] = (struct image_symbol){
			.name = resolver->name,
			.value = value,
			.size = symbol.size,
			.type = STT_FUNC,
			.bind = resolver->bind,
			.thumb = addresses[i] & arch->state_mask,
			.dynamic = resolver->dynamic,
		};
	}
	return count;
}

#include "flow/function.h"

#include "base/map.h"

unsigned function_reactor(struct str name, unsigned n)
{
    return (unsigned)(hash_bytes(name.at, name.len) % n);
}

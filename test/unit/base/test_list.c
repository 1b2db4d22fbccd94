#include "base/list.h"

#include "../check.h"

#include <string.h>

struct item {
    int value;
    struct list node;
};

static struct item items[6];

static int reset(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        items[i].value = i;
        list_init(&items[i].node);
    }
    return 0;
}

static void check_values(struct list *head, const char *want)
{
    char got[16] = "";
    size_t n = 0;
    list_for (it, head)
        got[n++] = (char)('0' + container_of(it, struct item, node)->value);
    assert_string_equal(got, want);
    n = 0;
    for (struct list *it = head->prev; it != head; it = it->prev)
        n++;
    assert_int_equal(strlen(want), n);
}

static void test_push_and_pop(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
    list_push(&head, &items[1].node);
    list_push(&head, &items[2].node);
    list_push_front(&head, &items[0].node);
    list_insert_before(&items[2].node, &items[5].node);
    check_values(&head, "0152");
    assert_ptr_equal(list_pop(&head), &items[0].node);
    assert_false(list_linked(&items[0].node));
    assert_true(list_linked(&items[1].node));
    check_values(&head, "152");
}

static void test_remove_twice(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    list_push(&head, &items[0].node);
    list_push(&head, &items[1].node);
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    check_values(&head, "1");
}

static void test_remove_while_walking(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    for (int i = 0; i < 6; i++)
        list_push(&head, &items[i].node);
    list_for_safe (it, &head) {
        if (container_of(it, struct item, node)->value % 2 == 0)
            list_remove(it);
    }
    check_values(&head, "135");
}

static void test_move(void **state)
{
    (void)state;
    struct list a = LIST_INIT(a), b = LIST_INIT(b);
    list_move(&a, &b);
    check_values(&a, "");
    list_push(&b, &items[2].node);
    list_push(&b, &items[3].node);
    list_move(&a, &b);
    check_values(&a, "23");
    check_values(&b, "");
    list_push(&b, &items[4].node);
    list_move(&a, &b);
    check_values(&a, "234");
    list_move(&a, &b);
    check_values(&a, "234");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_push_and_pop, reset),
        cmocka_unit_test_setup(test_remove_twice, reset),
        cmocka_unit_test_setup(test_remove_while_walking, reset),
        cmocka_unit_test_setup(test_move, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

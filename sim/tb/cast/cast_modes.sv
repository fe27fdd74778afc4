// Test bench only: hwflow_cast in all modes at once, for many shapes, all fed with the same code.
//
// Instances stand in the order SHIFT (fraction bits lost), OUT_W, IN_SIGNED, OUT_SIGNED, ROUNDING,
// OVERFLOW, the last one fastest; a rising edge of strobe_i appends a line with all results to FILE.

`default_nettype none

module cast_modes #(
    parameter int IN_W      = 3,
    parameter int IN_FRAC   = 1,
    parameter int SHIFT_MIN = -1,
    parameter int SHIFT_MAX = 1,
    parameter int OUT_W_MIN = 1,
    parameter int OUT_W_MAX = 2,
    parameter     FILE      = "results.txt"
) (
    input wire [IN_W-1:0] code_i,
    input wire            strobe_i
);

    localparam int WIDTHS    = OUT_W_MAX - OUT_W_MIN + 1;
    localparam int INSTANCES = (SHIFT_MAX - SHIFT_MIN + 1) * WIDTHS * 2 * 2 * 7 * 3;

    wire [OUT_W_MAX-1:0] result [0:INSTANCES-1];

    for (genvar index = 0; index < INSTANCES; index++) begin : gen_cast
        localparam int SHIFT = SHIFT_MIN + index / (84 * WIDTHS);
        localparam int OUT_W = OUT_W_MIN + (index / 84) % WIDTHS;
        wire [OUT_W-1:0] code;
        hwflow_cast #(
            .IN_W(IN_W), .IN_FRAC(IN_FRAC), .IN_SIGNED((index / 42) % 2),
            .OUT_W(OUT_W), .OUT_FRAC(IN_FRAC - SHIFT), .OUT_SIGNED((index / 21) % 2),
            .ROUNDING((index / 3) % 7), .OVERFLOW(index % 3)
        ) cast (
            .clk_i(1'b0),
            .code_i(code_i),
            .code_o(code)
        );
        if (OUT_W < OUT_W_MAX) begin : gen_pad
            assign result[index] = {{(OUT_W_MAX - OUT_W) {1'b0}}, code};
        end else begin : gen_whole
            assign result[index] = code;
        end
    end

    integer file, instance_index;
    initial file = $fopen(FILE, "w");
    always @(posedge strobe_i) begin
        for (instance_index = 0; instance_index < INSTANCES; instance_index = instance_index + 1)
            $fwrite(file, "%h ", result[instance_index]);
        $fwrite(file, "\n");
        $fflush(file);
    end

endmodule

`default_nettype wire
